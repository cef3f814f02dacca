package sandmill

// Host is the one way out of a plugin. In a component it is the real one, in a test that of package sandmilltest.
type Host interface {
	Complete(request Request) (Response, error)
	CompleteMany(requests []Request) ([]Result, error)
	CountTokens(request Request) (TokenCount, error)
	Log(level Level, message string, fields []Field)
	ReadBlob(name string, offset uint64, length uint32) ([]byte, error)
}

var current Host = noHost{}

// Install puts another host in place, for tests, and gives back the one before.
func Install(host Host) Host {
	before := current
	current = host
	return before
}

// noHost is what there is outside of a component: no models, no blobs, and a log that goes nowhere.
type noHost struct{}

func (noHost) Complete(Request) (Response, error)       { return Response{}, errNoHost() }
func (noHost) CompleteMany([]Request) ([]Result, error) { return nil, errNoHost() }
func (noHost) CountTokens(Request) (TokenCount, error)  { return TokenCount{}, errNoHost() }
func (noHost) Log(Level, string, []Field)               {}
func (noHost) ReadBlob(name string, _ uint64, _ uint32) ([]byte, error) {
	return nil, Failf("missing_blob", "there are no blobs outside a host: give sandmilltest.Run some")
}

func errNoHost() error {
	return &LLMError{Kind: Denied, Code: "no_host", Message: "there is no model here: ask in Process, and give a test a sandmilltest.LLM"}
}
