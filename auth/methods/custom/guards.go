package custom

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/itchyny/gojq"
)

// What the guards let through. They look at values while a program runs; allowed.go puts them in
// front of what needs them.
const (
	treeBytes  = 4 << 20 // of a value as JSON, more or less; the same part twice counts twice
	shortBytes = 8 << 10 // of a text for functions that are slow on long ones
)

// guards are the guards as functions of jq.
func guards() []gojq.CompilerOption {
	var list []gojq.CompilerOption
	for name, check := range map[string]func(any) error{guardSize: sized, guardNumber: number, guardShort: short} {
		list = append(list, gojq.WithFunction(name, 0, 0, func(v any, _ []any) any {
			if err := check(v); err != nil {
				return err
			}
			return v
		}))
	}
	return list
}

// tooLarge is a guard's error; it names no value.
type tooLarge struct{ reason string }

func (e *tooLarge) Error() string { return e.reason }

func sized(v any) error {
	left := treeBytes
	return take(v, &left)
}

// take counts a value, and stops where it is too large.
func take(v any, left *int) error {
	*left -= 8
	switch v := v.(type) {
	case string:
		if *left -= len(v); len(v) > valueBytes {
			return &tooLarge{fmt.Sprintf("a text in the answer is too long for this (more than %d KiB)", valueBytes>>10)}
		}
	case json.Number:
		if len(v) > digits {
			return &tooLarge{"a number has too many digits"}
		}
	case *big.Int:
		if v.BitLen() > digits*4 {
			return &tooLarge{"a number has too many digits"}
		}
	case []any:
		for i := 0; i < len(v) && *left > 0; i++ {
			if err := take(v[i], left); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, value := range v {
			if *left -= len(name); *left <= 0 {
				break
			}
			if err := take(value, left); err != nil {
				return err
			}
		}
	}
	if *left <= 0 {
		return &tooLarge{fmt.Sprintf("the value is too large for this (more than %d MiB)", treeBytes>>20)}
	}
	return nil
}

func number(v any) error {
	switch v.(type) {
	case int, float64, json.Number, *big.Int:
		return sized(v)
	}
	return errors.New("a calculation wants numbers")
}

func short(v any) error {
	if text, ok := v.(string); ok && len(text) > shortBytes {
		return &tooLarge{fmt.Sprintf("a text in the answer is too long for this (more than %d KiB)", shortBytes>>10)}
	}
	return sized(v)
}
