package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/cache/sealed"
	"github.com/keyhitch/keyhitch/entities"
	"github.com/keyhitch/keyhitch/internal/demo"
)

// schemas are what `keyhitch schema` prints, by name.
var schemas = map[string]func() []byte{
	"service-instance": keyhitch.PropertiesSchema,
	"action":           entities.ActionSchema,
	"port":             keyhitch.PortSchema,
}

func (a *app) schemaCommand() *cobra.Command {
	names := slices.Sorted(maps.Keys(schemas))
	return &cobra.Command{
		Use:       "schema [" + strings.Join(names, "|") + "]",
		Short:     "JSON Schema of a configuration file",
		Long:      "Prints the JSON Schema of a service instance, an action.json file or a configuration in another\ndialect, for editors and checks.",
		Example:   "  keyhitch schema service-instance > service-instance.schema.json",
		ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("schema takes one name: %s", strings.Join(names, ", "))
			}
			name := firstOf(append(args, "service-instance")...)
			schema, ok := schemas[name]
			if !ok {
				return usage("there is no schema %q; use one of %s", name, strings.Join(names, ", "))
			}
			_, err := a.out.Write(schema())
			return err
		},
	}
}

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keys for what is kept in a shared cache",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "key",
		Short:   "Print a new seal key",
		Long:    "Prints a new key for KEYHITCH_SEAL_KEY: tokens in Redis are sealed with it. To change keys, put the\nnew one in front of the old one, separated by a comma; drop the old one a day later.",
		Example: "  export KEYHITCH_SEAL_KEY=$(keyhitch secret key)",
		Args:    exactly(0, "secret key takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, sealed.NewKey())
			return err
		},
	})
	return cmd
}

func (a *app) demoCommand() *cobra.Command {
	var stay bool
	var listen string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A story with pretend systems on this machine",
		Long: "Starts pretend systems on loopback, calls them through the real engine, and shows what happens.\n" +
			"With --stay it starts the systems that the files in examples/port are for, and keeps them until\nCtrl-C.",
		Example: "  keyhitch demo\n  keyhitch demo --stay",
		Args:    exactly(0, "demo takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := demo.Options{Out: a.out, Color: colored(a.out), Terminal: isTerminal(a.out), Listen: listen}
			switch {
			case !stay && cmd.Flags().Changed("listen"):
				return usage("--listen goes with --stay")
			case !stay:
				return demo.Run(cmd.Context(), o)
			case !demo.OnLoopback(listen):
				return usage("--listen %s: is no address of this machine alone; write 127.0.0.1:PORT", listen)
			}
			err := demo.Stay(cmd.Context(), o)
			if errors.As(err, new(*net.OpError)) {
				return usage("--listen %s: cannot be listened on: %v", listen, err)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&stay, "stay", false, "keep pretend systems for the files in examples/port until Ctrl-C")
	cmd.Flags().StringVar(&listen, "listen", demo.Listen, "with --stay: `ADDRESS` on loopback, port 0 for a free one")
	return cmd
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Version of this program",
		Example: "  keyhitch version -o json",
		Args:    exactly(0, "version takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo()
			if a.output == "json" || a.output == "yaml" {
				return a.print(v)
			}
			_, err := fmt.Fprintf(a.out, "keyhitch %s (%s, %s/%s)\n", v["version"], v["go"], v["os"], v["arch"])
			return err
		},
	}
}

func versionInfo() map[string]string {
	v := map[string]string{"version": "devel", "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v["version"] = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v["revision"] = s.Value
		}
	}
	return v
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Completion script for a shell",
		Example:   "  keyhitch completion bash > /etc/bash_completion.d/keyhitch",
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      exactly(1, "completion takes one of bash, zsh, fish, powershell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usage("there is no completion for %q; use bash, zsh, fish or powershell", args[0])
		},
	}
}
