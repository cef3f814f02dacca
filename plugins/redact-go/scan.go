package main

import (
	"slices"
	"strings"
)

// One pass over the bytes. Everything that is looked for is ASCII, so a match never cuts a character.

// Groups of digits that are looked at together, and the lengths of the numbers (ISO/IEC 7812 for cards, E.164 for phones).
const (
	groupsMax                      = 8
	cardDigitsMin, cardDigitsMax   = 13, 19
	phoneDigitsMin, phoneDigitsMax = 8, 15
)

type counts struct {
	Email int `json:"email"`
	Phone int `json:"phone"`
	Card  int `json:"card"`
}

// scanner looks for the kinds that are chosen.
type scanner struct {
	email, phone, card bool
	counts             counts
}

// redact gives the text without what was found.
func (s *scanner) redact(text string) string {
	var clean strings.Builder
	// Up to where the text has been taken over.
	kept := 0
	for at := 0; at < len(text); {
		start, end, mask := s.look(text, at, kept)
		if mask == "" {
			at = end
			continue
		}
		clean.WriteString(text[kept:start])
		clean.WriteString(mask)
		kept, at = end, end
	}
	clean.WriteString(text[kept:])
	return clean.String()
}

// look says what stands at a place: its bounds and its mask; without a mask there is nothing, and end is from where to look on.
func (s *scanner) look(text string, at, kept int) (start, end int, mask string) {
	switch letter := text[at]; {
	case letter == '@' && s.email:
		if start, end, found := email(text, at, kept); found {
			s.counts.Email++
			return start, end, "[EMAIL]"
		}
	case (isDigit(letter) || letter == '+' || letter == '(') && (s.phone || s.card) && startsNumber(text, at):
		end, mask := s.number(text, at)
		return at, end, mask
	}
	return at, at + 1, ""
}

// email around an @, which does not begin before from.
func email(text string, at, from int) (start, end int, found bool) {
	start, end = at, at+1
	for start > from && (isAlphanumeric(text[start-1]) || strings.IndexByte("._%+-", text[start-1]) >= 0) {
		start--
	}
	for start < at && text[start] == '.' {
		start++
	}
	for end < len(text) && (isAlphanumeric(text[end]) || text[end] == '.' || text[end] == '-') {
		end++
	}
	host := strings.TrimRight(text[at+1:end], ".-")
	dot := strings.LastIndexByte(host, '.')
	if start == at || dot <= 0 || len(host)-dot-1 < 2 {
		return 0, 0, false
	}
	for _, letter := range []byte(host[dot+1:]) {
		if !isLetter(letter) {
			return 0, 0, false
		}
	}
	return start, at + 1 + len(host), true
}

// startsNumber: a number does not start in the middle of a word or of another number.
func startsNumber(text string, at int) bool {
	if at == 0 {
		return true
	}
	before := text[at-1]
	joined := strings.IndexByte(".-/:,", before) >= 0 && at >= 2 && isDigit(text[at-2])
	return !isWord(before) && before != '+' && !joined
}

// groups of digits from a place on.
type groups struct {
	plus, parenthesis bool
	// Start and end of each.
	spans [][2]int
}

func groupsAt(text string, at int) groups {
	found := groups{plus: text[at] == '+'}
	least := 0
	if found.plus {
		at, least = at+1, 1
	}
	for len(found.spans) < groupsMax {
		start := at
		opened := at < len(text) && text[at] == '('
		if opened {
			start++
		}
		end := start
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		if end == start {
			break
		}
		at = end
		if opened {
			if at == len(text) || text[at] != ')' {
				break
			}
			at++
			found.parenthesis = found.parenthesis || len(found.spans) <= least
		}
		found.spans = append(found.spans, [2]int{start, end})
		if at < len(text) && strings.IndexByte(" -./", text[at]) >= 0 {
			at++
		} else if !(at < len(text) && text[at] == '(') && !opened {
			break
		}
	}
	return found
}

// number is the longest run of groups that is a card or a phone number; without a mask end is from where to look on.
func (s *scanner) number(text string, start int) (end int, mask string) {
	found := groupsAt(text, start)
	if len(found.spans) == 0 {
		return start + 1, ""
	}
	for count := len(found.spans); count > 0; count-- {
		spans := found.spans[:count]
		end := spans[count-1][1]
		if end < len(text) && isWord(text[end]) {
			continue
		}
		if s.card && !found.plus && !found.parenthesis && isCard(text, spans) {
			s.counts.Card++
			return end, "[CARD]"
		}
		if s.phone && isPhone(text, spans, found) {
			s.counts.Phone++
			return end, "[PHONE]"
		}
	}
	return found.spans[0][1], ""
}

func isCard(text string, spans [][2]int) bool {
	digits := ""
	for index, span := range spans {
		length := span[1] - span[0]
		// Printed in groups of three to seven, or in one.
		if len(spans) > 1 && (length < 3 || length > 7) {
			return false
		}
		if index > 0 {
			before := spans[index-1][1]
			if span[0] != before+1 || (text[before] != ' ' && text[before] != '-') {
				return false
			}
		}
		digits += text[span[0]:span[1]]
	}
	return len(digits) >= cardDigitsMin && len(digits) <= cardDigitsMax && digits[0] != '0' && luhn(digits)
}

func luhn(digits string) bool {
	sum := 0
	for index := range len(digits) {
		digit := int(digits[len(digits)-1-index] - '0')
		if index%2 == 1 {
			digit = digit*2/10 + digit*2%10
		}
		sum += digit
	}
	return sum%10 == 0
}

// isPhone: with a +, or with its area in parentheses, or in the groups in which numbers are written; so that dates, addresses of the
// Internet and order numbers stay.
func isPhone(text string, spans [][2]int, found groups) bool {
	var lengths []int
	digits := 0
	for _, span := range spans {
		lengths = append(lengths, span[1]-span[0])
		digits += span[1] - span[0]
	}
	if found.plus || found.parenthesis {
		return digits >= phoneDigitsMin && digits <= phoneDigitsMax && (found.plus || len(spans) > 1)
	}
	first := text[spans[0][0]]
	northAmerican := slices.Equal(lengths, []int{3, 3, 4}) || (slices.Equal(lengths, []int{1, 3, 3, 4}) && first == '1')
	national := first == '0' && lengths[0] >= 3 && len(spans) > 1 && digits >= 9 && digits <= 12
	return northAmerican || national
}

func isDigit(letter byte) bool        { return letter >= '0' && letter <= '9' }
func isLetter(letter byte) bool       { return letter|0x20 >= 'a' && letter|0x20 <= 'z' }
func isAlphanumeric(letter byte) bool { return isDigit(letter) || isLetter(letter) }

// isWord: all that is not ASCII is a letter, as far as this goes.
func isWord(letter byte) bool { return isAlphanumeric(letter) || letter == '_' || letter >= 0x80 }
