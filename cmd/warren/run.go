package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"warren/config"
)

// run does what args say, until it is done or ctx ends. Logs go to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:     "warren",
		Short:   "A WebSocket gateway for RabbitMQ",
		Long:    long,
		Version: version(),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(cmd, "")
			if err != nil {
				return err
			}
			return serve(cmd.Context(), l, stderr)
		},
		SilenceErrors: true, // main prints them, once
		SilenceUsage:  true,
		CompletionOptions: cobra.CompletionOptions{
			DisableDefaultCmd: true,
		},
	}
	addFlags(root)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(versionCommand(), configCommand())
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	// Nil would make cobra read os.Args.
	root.SetArgs(append([]string{}, args...))
	return root.ExecuteContext(ctx)
}

const long = `Warren is a WebSocket gateway for RabbitMQ: what a browser sends is published to a
fanout exchange, and every message on that exchange reaches every browser that
listens. Without amqp.url it serves on its own.

The configuration is that of --config, else of WARREN_CONFIG, else ./config.yaml,
else /etc/warren/config.yaml, else the defaults. Environment variables
(WARREN_AMQP_URL for amqp.url) override the file, flags override both.`

// addFlags defines the few flags: what differs from one start to the next on
// one machine (--listen, --admin-listen, --node), what is changed to look closer (--log-...),
// and the broker, so that a trial needs no file. The rest belongs in the file.
// config.FlagName ties them to their keys.
func addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.String("config", "", "configuration `FILE`")
	f.String(config.FlagName("listen"), "", "`HOST:PORT` to serve on")
	f.String(config.FlagName("admin.listen"), "", "`HOST:PORT` to publish over HTTP at, for this machine only; \"\" for none")
	f.String(config.FlagName("node"), "", "`NAME` of this node in message ids and logs")
	f.String(config.FlagName("amqp.url"), "", "RabbitMQ's `URL`; WARREN_AMQP_URL keeps a password out of the process list")
	f.String(config.FlagName("log.level"), "", "`LEVEL` of the log: debug, info, warn or error")
	f.String(config.FlagName("log.format"), "", "`FORMAT` of the log: text or json")
}

// hasFlag says that key can be set by a flag.
func hasFlag(key string) bool {
	var c cobra.Command
	addFlags(&c)
	return c.PersistentFlags().Lookup(config.FlagName(key)) != nil
}

// load reads the configuration for cmd from file, or if it is "" from where
// it is looked for.
func load(cmd *cobra.Command, file string) (*config.Loaded, error) {
	named, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("config") {
		if file != "" {
			return nil, &usageError{errors.New("configuration file given twice, by --config and as an argument")}
		}
		if named == "" {
			return nil, &usageError{errors.New("--config needs the name of a file")}
		}
		file = named
	}
	return config.Load(config.Find(file), cmd.Flags())
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if strings.Contains(args[0], "@") { // it may hold a password
		return &usageError{errors.New("unknown argument that looks like a URL: give RabbitMQ's URL by WARREN_AMQP_URL or --amqp-url")}
	}
	return &usageError{fmt.Errorf("unknown command or argument %q for %s", args[0], cmd.CommandPath())}
}
