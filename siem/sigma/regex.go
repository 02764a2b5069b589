package sigma

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Limits on a regular expression. Matching takes time proportional to the size
// of the value times the size of the expression and never more, so it is the
// size that is bounded.
const (
	maxRegexText = 16 << 10
	maxRegexSize = 5000
)

// compileRegex compiles the regular expression of the value v.
func compileRegex(src string, v *node, b *budget) (*regexp.Regexp, error) {
	if len(src) > maxRegexText {
		return nil, bad(v.at, "the regular expression has %d bytes, at most %d are allowed; write several", len(src), maxRegexText)
	}
	tree, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil, regexProblem(err, v)
	}
	n := regexSize(tree)
	if n > maxRegexSize {
		return nil, bad(v.at, "with its repeats written out the regular expression has %d places, at most %d are allowed; write smaller numbers in `{}`, or `*`", n, maxRegexSize)
	}
	if err := b.place(n, v.at); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(src)
	if err != nil {
		return nil, regexProblem(err, v)
	}
	return re, nil
}

// regexSize counts the places of an expression once its repeats are written
// out, no further than is needed to know that they are too many.
func regexSize(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += regexSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Max, re.Min, 1)
	}
	return min(n, 1<<24)
}

// regexInstead says what to write for what PCRE has and a linear engine has not.
var regexInstead = []struct{ part, what, instead string }{
	{"(?=", "look-ahead", "write a second item `|re` on the same field: both must hold"},
	{"(?!", "negative look-ahead", "write what must not be there as a search identifier of its own, and `and not` it in the condition"},
	{"(?<=", "look-behind", "write what stands before as part of the expression"},
	{"(?<!", "negative look-behind", "write what must not stand before as a search identifier of its own, and `and not` it in the condition"},
	{"(?>", "atomic groups", "write `(?:`: nothing is tried twice"},
	{"(?#", "comments", "leave the comment out"},
	{"(?(", "conditionals", "write both branches with a bar between them"},
	{"(?R", "recursion", "write the nesting out as deep as it goes"},
	{"(?&", "recursion", "write the nesting out as deep as it goes"},
	{"(?x", "extended syntax", "write the expression without blanks and comments"},
	{`\Z`, "`\\Z`", "write `$`"},
	{`\G`, "`\\G`", "write `^`"},
	{`\K`, "`\\K`", "leave it out: only whether something matches counts"},
	{`\h`, "`\\h`", "write `[ \\t]`"},
	{`\R`, "`\\R`", "write `(?:\\r\\n|\\n|\\r)`"},
	{`\N`, "`\\N`", "write `[^\\n]`"},
	{`\X`, "`\\X`", "write `.`"},
	{`\u`, "`\\u`", "write the number in braces, like `\\x{20AC}`"},
	{`\e`, "`\\e`", "write `\\x1b`"},
}

// regexProblem says what is wrong with an expression and what to write instead.
func regexProblem(err error, v *node) error {
	var se *syntax.Error
	if !errors.As(err, &se) {
		return bad(v.at, "the regular expression can't be read: %v", err)
	}
	for _, r := range regexInstead {
		if strings.HasPrefix(se.Expr, r.part) {
			return bad(v.at, "regular expressions are matched in linear time and have no %s (%s); %s", r.what, se.Expr, r.instead)
		}
	}
	return bad(v.at, "the regular expression is wrong: %s `%s`%s", se.Code, se.Expr, codeHint(se))
}

func codeHint(se *syntax.Error) string {
	switch se.Code {
	case syntax.ErrInvalidEscape:
		if len(se.Expr) > 1 && se.Expr[1] >= '1' && se.Expr[1] <= '9' {
			return "; a reference back is not linear: write the alternatives out, or compare two fields with `fieldref`"
		}
		return "; write the character without the backslash, or `\\\\` for a backslash"
	case syntax.ErrInvalidRepeatOp:
		return "; write one quantifier (possessive ones are not needed: nothing is tried twice)"
	case syntax.ErrMissingRepeatArgument:
		return "; write `\\` before the character to mean it itself"
	case syntax.ErrInvalidRepeatSize:
		return "; at most 1000, also when nested: write a smaller number, or `*`"
	case syntax.ErrMissingBracket:
		return "; write `]` where the class ends, or `\\[` for the character"
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
		return "; write `\\(` or `\\)` for the character"
	case syntax.ErrTrailingBackslash:
		return "; write `\\\\` for a backslash"
	case syntax.ErrInvalidCharRange:
		return "; write the smaller character first"
	case syntax.ErrLarge, syntax.ErrNestingDepth:
		return "; write several expressions"
	}
	return ""
}
