package config

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var errKind = errors.New("wrong kind of value")

// decode turns what a source gave into a value of type t. Values from the
// file have YAML's types and must fit: a bare 25 is no duration, because
// nobody can see its unit. Variables and flags are text.
func decode(t reflect.Type, raw any, fromFile bool) (reflect.Value, error) {
	text, isText := raw.(string)
	v := reflect.New(t).Elem()
	switch v.Interface().(type) {
	case time.Duration:
		// 0 needs no unit.
		if n, ok := raw.(int); ok && n == 0 {
			return v, nil
		}
		d, err := time.ParseDuration(text)
		v.SetInt(int64(d))
		return v, err
	case Size:
		if n, ok := raw.(int); ok && n >= 0 {
			v.SetInt(int64(n))
			return v, nil
		}
		n, err := ParseSize(text)
		v.SetInt(int64(n))
		return v, err
	case []string:
		list, err := decodeList(raw, fromFile)
		v.Set(reflect.ValueOf(list))
		return v, err
	case int:
		if n, ok := raw.(int); ok {
			v.SetInt(int64(n))
			return v, nil
		}
		n, err := strconv.ParseInt(text, 10, strconv.IntSize)
		if fromFile {
			err = errKind
		}
		v.SetInt(n)
		return v, err
	case bool:
		if b, ok := raw.(bool); ok {
			v.SetBool(b)
			return v, nil
		}
		b, err := strconv.ParseBool(text)
		if fromFile {
			err = errKind
		}
		v.SetBool(b)
		return v, err
	case string:
		if !isText {
			return v, errKind
		}
		v.SetString(text)
		return v, nil
	}
	panic("config: no decoder for " + t.String())
}

// decodeList reads a YAML list of texts, or comma-separated text.
func decodeList(raw any, fromFile bool) ([]string, error) {
	list := []string{}
	switch raw := raw.(type) {
	case []any:
		for _, item := range raw {
			text, ok := item.(string)
			if !ok {
				return nil, errKind
			}
			list = append(list, text)
		}
	case string:
		if fromFile {
			return nil, errKind
		}
		for item := range strings.SplitSeq(raw, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	default:
		return nil, errKind
	}
	return list, nil
}
