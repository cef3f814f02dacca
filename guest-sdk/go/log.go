package sandmill

// Level is how much a line of the log matters.
type Level uint8

const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

// Field is one property of a line of the log. Its value is JSON text.
type Field struct{ Name, JSON string }

// Info puts a line into the item's log, with fields as pairs of names and values: Info("read", "length", 3). What is printed to
// os.Stdout arrives there, too.
func Info(message string, fields ...any) { Log(LevelInfo, message, fields...) }

// Warn is as [Info], for what is not as it should be.
func Warn(message string, fields ...any) { Log(LevelWarn, message, fields...) }

// Log is as [Info], at any level.
func Log(level Level, message string, fields ...any) {
	var pairs []Field
	for len(fields) > 0 {
		name, isName := fields[0].(string)
		if !isName || len(fields) == 1 {
			// As log/slog has it: a log never fails.
			pairs = append(pairs, Field{"!badkey", shown(fields[0])})
			fields = fields[1:]
			continue
		}
		pairs = append(pairs, Field{name, shown(fields[1])})
		fields = fields[2:]
	}
	current.Log(level, message, pairs)
}
