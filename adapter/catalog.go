package adapter

import (
	"encoding/json"
	"io/fs"
	"maps"
	"strings"
)

// entry is one error of a home's error.json.
type entry struct {
	Key            string `json:"key"`
	ICode          string `json:"icode"`
	Display        string `json:"displayString"`
	Recommendation string `json:"recommendation"`
}

// catalog holds the error texts by key; a home's error.json lays its own over the default ones.
type catalog map[string]entry

const (
	keyMissingData   = "Missing Data"
	keyCall          = "Invalid Call"
	keyMissingFile   = "Missing File"
	keyInvalidAction = "Invalid Action File"
	keyMissingAction = "Missing Action"
	keyProtocol      = "Unsupported Protocol"
	keyInvalidSchema = "Invalid Schema File"
	keyNotAvailable  = "Action Not Available"
	keySchema        = "Schema Validation Failure"
	keyAuthenticate  = "Unable To Authenticate"
	keyEncode        = "Unable To Encode"
	keyToken         = "Unable To Get Token"
	keyRequest       = "Error On Request"
	keyTimeout       = "Request Timeout"
	keyDisconnect    = "Disconnect"
	keyAnswer        = "Invalid Response"
	keyCaught        = "Caught Exception"
	keyInterrupted   = "Interrupted"
	keyProperties    = "Invalid Properties"
)

var defaultCatalog = catalogOf([]entry{
	{keyMissingData, "AD.300", "$VARIABLE$ is missing", "Add what is missing to the call"},
	{keyCall, "AD.300", "$VARIABLE$", "Change the call; --help shows its parts"},
	{keyMissingFile, "AD.301", "$VARIABLE$ cannot be found", "Check the name, and that the file is there and readable"},
	{keyInvalidAction, "AD.302", "Action file not usable: $VARIABLE$", "Run keyhitch validate on the home and mend what it names"},
	{keyMissingAction, "AD.302", "$VARIABLE$", "Check the name; the entity's action.json has them all"},
	{keyProtocol, "AD.303", "Protocol not usable: $VARIABLE$", "Write the protocol REST, or leave the action out"},
	{keyInvalidSchema, "AD.304", "Schema file not usable: $VARIABLE$", "Run keyhitch validate on the home and mend what it names"},
	{keyNotAvailable, "AD.305", "The action is not there: $VARIABLE$ $VARIABLE$", "Choose another version with choosepath"},
	{keySchema, "AD.312", "Data does not fit the schema: $VARIABLE$", "Change the data, or the schema if it is too strict"},
	{keyAuthenticate, "AD.400", "Login ($VARIABLE$) answered $VARIABLE$", "Check the credentials and where the token request goes"},
	{keyEncode, "AD.401", "Format not usable: $VARIABLE$", "Close every {b64} block with {/b64}"},
	{keyToken, "AD.402", "No token for $VARIABLE$", "Check the credentials, and getToken's response schema against what the system answers"},
	{keyRequest, "AD.500", "The system answered $VARIABLE$", "See the response for the system's own words"},
	{keyTimeout, "AD.501", "No answer in time ($VARIABLE$)", "Raise request.attempt_timeout, or look at the system's load"},
	{keyDisconnect, "AD.502", "No connection ($VARIABLE$)", "Check host, port and protocol, and that the system can be reached from here"},
	{keyAnswer, "AD.999", "The answer is not what the action promises: $VARIABLE$", "Compare the action's datatype and schema with what the system sends"},
	{keyCaught, "AD.900", "Something went wrong inside keyhitch", "Run again with --explain and report what it prints"},
	{keyInterrupted, "AD.900", "interrupted", "Run again; what was sent may have been done"},
	{keyProperties, "AD.312", "Configuration not usable: $VARIABLE$", "Run keyhitch validate and mend what it names"},
})

func catalogOf(list []entry) catalog {
	c := make(catalog, len(list))
	for _, e := range list {
		c[e.Key] = e
	}
	return c
}

// maxCatalog bounds a home's error.json.
const maxCatalog = 1 << 20

// loadCatalog reads the home's error texts. A missing file is usual; a broken one is a warning.
func (d *Definition) loadCatalog(home fs.FS) {
	data, err := fs.ReadFile(home, "error.json")
	if err != nil || len(data) > maxCatalog {
		return
	}
	var file struct {
		Errors []entry `json:"errors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		d.problems = append(d.problems, &Problem{File: "error.json", Reason: "is not well-formed; built-in error texts are used", Warning: true})
		return
	}
	d.catalog = maps.Clone(defaultCatalog)
	maps.Copy(d.catalog, catalogOf(file.Errors))
}

// display fills the variables into an error's text, in order; missing ones become empty.
func (e entry) display(variables ...string) string {
	text := e.Display
	for _, v := range variables {
		text = strings.Replace(text, "$VARIABLE$", v, 1)
	}
	return strings.TrimSpace(strings.ReplaceAll(text, "$VARIABLE$", ""))
}
