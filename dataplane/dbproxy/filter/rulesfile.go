package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxRules is how long a file of rules may be.
const maxRules = 4 << 20

// ReadRules reads a file of rules.
func ReadRules(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxRules+1))
	switch {
	case err != nil:
		return nil, fileError(err)
	case len(text) > maxRules:
		return nil, fmt.Errorf("is longer than %d bytes", maxRules)
	}
	return text, nil
}

// fileError leaves the path away, which who gave it knows.
func fileError(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// DecodeRules reads rules in JSON. What is not known is refused: a name spelt
// wrong must not make a rule that does less than it seems to. Errors tell where
// the fault is but nothing of the text, as the file may be one that the
// administrator of the proxy must not see.
func DecodeRules(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more == io.EOF {
			return nil
		}
		err = errors.New("more text follows")
	}
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return fmt.Errorf("is not as it must be: %s must be %s", te.Field, te.Type)
	}
	return fmt.Errorf("is not JSON as it must be, near line %d", 1+bytes.Count(text[:min(int(d.InputOffset()), len(text))], []byte("\n")))
}
