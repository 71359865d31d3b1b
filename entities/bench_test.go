package entities_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/keyhitch/keyhitch/entities"
)

// actionsJSON is an action.json of n actions, about 467 bytes each.
func actionsJSON(n, schemas int) []byte {
	var w bytes.Buffer
	w.WriteString(`{"actions":[`)
	for i := range n {
		if i > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(&w, `{"name":"getDevice%d","protocol":"REST","method":"GET","entitypath":"{base_path}/{version}/devices/{pathv%d}/interfaces?{query}",`+
			`"requestSchema":"schema%d.json","responseSchema":"schema%d.json","timeout":%d,"sendEmpty":false,"sendGetBody":false,`+
			`"requestDatatype":"JSON","responseDatatype":"JSON","headers":{"Accept":"application/json","X-Request-Source":"adapter %d"},`+
			`"responseObjects":[{"type":"default","key":"data","mockFile":"mockdatafiles/getDevice%d-default.json"}]}`,
			i, i%4+1, i%schemas, i%schemas, i, i, i)
	}
	w.WriteString(`]}`)
	return w.Bytes()
}

type plainAction struct {
	Name            string            `json:"name"`
	Protocol        string            `json:"protocol"`
	Method          string            `json:"method"`
	EntityPath      string            `json:"entitypath"`
	RequestSchema   string            `json:"requestSchema"`
	ResponseSchema  string            `json:"responseSchema"`
	Timeout         int               `json:"timeout"`
	SendEmpty       bool              `json:"sendEmpty"`
	SendGetBody     bool              `json:"sendGetBody"`
	RequestType     string            `json:"requestDatatype"`
	ResponseType    string            `json:"responseDatatype"`
	Headers         map[string]string `json:"headers"`
	ResponseObjects []struct {
		Type     string `json:"type"`
		Key      string `json:"key"`
		MockFile string `json:"mockFile"`
	} `json:"responseObjects"`
}

func benchHome(actions, schemas int) fstest.MapFS {
	home := fstest.MapFS{"entities/device/action.json": {Data: actionsJSON(actions, schemas)}}
	for i := range schemas {
		home[fmt.Sprintf("entities/device/schema%d.json", i)] = &fstest.MapFile{Data: benchSchema(i)}
	}
	return home
}

func benchSchema(i int) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, `{"$id":"schema.json","schema":"http://json-schema.org/draft-07/schema#","type":"object","translate":true,"dynamicfields":true,"properties":{`+
		`"ph_request_type":{"type":"string","description":"type of request (internal to adapter)"}`)
	for p := range 20 {
		fmt.Fprintf(&w, `,"property%d_%d":{"type":"string","description":"property %d","parse":false,"encode":false,"encrypt":{"type":"AES","key":""},"external_name":"external%d"}`, i, p, p, p)
	}
	w.WriteString(`},"definitions":{}}`)
	return w.Bytes()
}

// BenchmarkDecode1000Actions is the floor: the same bytes into a plain struct.
func BenchmarkDecode1000Actions(b *testing.B) {
	data := actionsJSON(1000, 1)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			Actions []plainAction `json:"actions"`
		}
		if err := json.Unmarshal(data, &v); err != nil || len(v.Actions) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad1000Actions(b *testing.B) {
	home := benchHome(1000, 1)
	b.SetBytes(int64(len(home["entities/device/action.json"].Data)))
	b.ReportAllocs()
	for b.Loop() {
		set, err := entities.Load(home)
		if err != nil || len(set.Actions("device")) != 1000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck400Actions(b *testing.B) {
	home := benchHome(400, 400)
	b.ReportAllocs()
	for b.Loop() {
		set, err := entities.Load(home)
		if err != nil {
			b.Fatal(err)
		}
		if problems := set.Check(); len(problems.Errors()) > 0 {
			b.Fatal(problems.Errors()[0])
		}
	}
}

func BenchmarkMapRequest(b *testing.B) {
	set, err := entities.Load(benchHome(1, 1))
	if err != nil {
		b.Fatal(err)
	}
	a, err := set.Action("device", "getDevice0")
	if err != nil {
		b.Fatal(err)
	}
	schema, err := a.Request()
	if err != nil {
		b.Fatal(err)
	}
	in := entities.Object{{Name: "property0_3", Value: "x"}, {Name: "other", Value: []any{"1", "2"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schema.MapRequest(a.Name, in); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCheckIsBounded holds the promise for large homes: 400 actions with a schema each.
func TestCheckIsBounded(t *testing.T) {
	home := benchHome(400, 400)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	set, err := entities.Load(home)
	if err != nil {
		t.Fatal(err)
	}
	set.Check()
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 150 {
		t.Errorf("allocated %d MiB, want at most 150", got)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
