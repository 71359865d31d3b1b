package entities_test

import (
	"testing"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/entities"
)

// home is a file system of texts by path below entities/.
func home(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out["entities/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func load(t testing.TB, files map[string]string) *entities.Set {
	t.Helper()
	set, err := entities.Load(home(files))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// action is the action "get" of entity "e": GET with schema.json, and more members.
func action(t testing.TB, schema, more string) *entities.Action {
	t.Helper()
	return actionOf(t, "e", schema, more)
}

func actionOf(t testing.TB, entity, schema, more string) *entities.Action {
	t.Helper()
	set := load(t, map[string]string{
		entity + "/action.json": `{"actions":[{"name":"get","protocol":"REST","method":"GET","schema":"schema.json"` + more + `}]}`,
		entity + "/schema.json": schema,
	})
	a, err := set.Action(entity, "get")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func requestSchema(t testing.TB, schema string) *entities.Schema {
	t.Helper()
	s, err := action(t, schema, `,"entitypath":"/x"`).Request()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func object(t testing.TB, text string) entities.Object {
	t.Helper()
	var o entities.Object
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return o
}

func value(t testing.TB, text string) any {
	t.Helper()
	v, err := entities.Decode(entities.JSON, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func text(t testing.TB, v any) string {
	t.Helper()
	data, err := entities.Encode(entities.JSON, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
