package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readLines checks the shape of a YAML file: one document, known keys only,
// sections where sections belong. It returns the line each key stands on.
func readLines(name string, text []byte) (map[string]int, error) {
	lines := map[string]int{}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return lines, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: not YAML: %s", name, oneLine(err))
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: must be one YAML document, without --- between", name)
	}
	return lines, walk(name, "", doc.Content[0], lines)
}

// walk goes through one section.
func walk(name, section string, n *yaml.Node, lines map[string]int) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	at := func(line int) string { return fmt.Sprintf("%s:%d", name, line) }
	switch {
	case n.Tag == "!!null": // "log:" with nothing below it
		return nil
	case n.Kind != yaml.MappingNode && section == "":
		return fmt.Errorf("%s: must be keys and values, such as listen: \":3000\"", at(n.Line))
	case n.Kind != yaml.MappingNode:
		// The value isn't shown: below amqp it may be a URL.
		return fmt.Errorf("%s: %s: must be a section with the keys %s",
			at(n.Line), section, strings.Join(sectionKeys(section), ", "))
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := key.Value
		if section != "" {
			full = section + "." + key.Value
		}
		if lines[full] != 0 {
			return fmt.Errorf("%s: %s: given twice, first on line %d", at(key.Line), full, lines[full])
		}
		lines[full] = key.Line
		switch {
		case slices.Contains(keys, full):
		case len(sectionKeys(full)) > 0:
			if err := walk(name, full, value, lines); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: %s", at(key.Line), unknownKey(section, key.Value))
		}
	}
	return nil
}

// oneLine flattens a parser's message.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
}
