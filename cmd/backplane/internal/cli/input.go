package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// input is where passwords come from when nothing else holds them.
type input struct {
	lines *bufio.Reader
	tty   *os.File // nil when a program writes the input
	notes io.Writer
}

func newInput(in io.Reader, notes io.Writer) *input {
	i := &input{lines: bufio.NewReaderSize(in, maxSecret), notes: notes}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		i.tty = f
	}
	return i
}

func (i *input) interactive() bool { return i.tty != nil }

// line reads the next line, without its end.
func (i *input) line(what string) (string, error) {
	text, err := i.lines.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the %s from the standard input: %w", what, err)
	}
	line := strings.TrimRight(string(text), "\r\n")
	if line == "" {
		return "", fmt.Errorf("the standard input has no line with the %s", what)
	}
	return line, nil
}

// prompt asks a person for a secret, which is not shown.
func (i *input) prompt(ctx context.Context, question string) (string, error) {
	fd := int(i.tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for a password: %w", err)
	}
	fmt.Fprint(i.notes, question)
	defer fmt.Fprintln(i.notes)
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	// Reading a terminal cannot be interrupted: after Ctrl-C this goroutine
	// ends with the program.
	go func() {
		text, err := term.ReadPassword(fd)
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return "", fmt.Errorf("ask for a password: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted"), term.Restore(fd, before))
	}
}

// newPassword is the password to set: a line of the standard input, or asked
// for twice.
func (i *input) newPassword(ctx context.Context, fromStdin bool, username string) (string, error) {
	if fromStdin {
		return i.line("new password")
	}
	if !i.interactive() {
		return "", errors.New("there is no terminal to ask for the new password; use --new-password-stdin")
	}
	first, err := i.prompt(ctx, fmt.Sprintf("New password of %s: ", username))
	if err != nil {
		return "", err
	}
	second, err := i.prompt(ctx, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}
