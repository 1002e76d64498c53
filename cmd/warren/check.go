package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"warren/config"
)

func configCommand() *cobra.Command {
	parent := &cobra.Command{
		Use:   "config",
		Short: "Work with the configuration",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{fmt.Errorf("unknown command: %s has check only", cmd.CommandPath())}
		},
	}
	parent.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the configuration and print what it comes to, passwords hidden",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &usageError{errors.New("config check takes one file")}
			}
			return nil
		},
		RunE: check,
	})
	return parent
}

// check does all that a start does before anything is opened.
func check(cmd *cobra.Command, args []string) error {
	var file string
	if len(args) == 1 {
		file = args[0]
	}
	l, err := load(cmd, file)
	if err != nil {
		return err
	}
	if _, err := build(l, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	text, err := l.YAML()
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "# %s\n%s", origin(l), text)
	return err
}

// origin says where a configuration was read.
func origin(l *config.Loaded) string {
	if l.File == "" {
		return "no configuration file"
	}
	return "configuration file " + l.File
}
