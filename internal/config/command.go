package config

import (
	"encoding/json"
	"errors"
	"strings"
)

// command is a flag that holds the words of a command: split at spaces, or as a
// JSON list when words have spaces in them.
type command []string

// Set implements pflag.Value.
func (c *command) Set(text string) error {
	*c = nil
	if text = strings.TrimSpace(text); !strings.HasPrefix(text, "[") {
		*c = strings.Fields(text)
		return nil
	}
	if err := json.Unmarshal([]byte(text), (*[]string)(c)); err != nil {
		return errors.New("must be words with spaces between them, or a JSON list of words")
	}
	if len(*c) > 0 && (*c)[0] == "" {
		return errors.New("must begin with the name of a program")
	}
	return nil
}

// String implements pflag.Value.
func (c *command) String() string {
	if c == nil || len(*c) == 0 {
		return ""
	}
	return writeCommand(*c)
}

// Type implements pflag.Value.
func (*command) Type() string { return "command" }

// writeCommand is what Set reads as these words.
func writeCommand(words []string) string {
	text, err := json.Marshal(words)
	if err != nil {
		return "" // strings always encode
	}
	return string(text)
}
