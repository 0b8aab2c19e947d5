// Package sqlclass says from the text of a MySQL or MariaDB statement what it
// does: whether it reads or writes, what it changes in its session, and so
// where a proxy may send it.
//
// It is a tokenizer and a scanner, not a grammar, and errs on one side only:
// a statement that it does not understand, or that could mean two things, is a
// write and belongs to the master. Only a statement of which every part is
// known to do no more than read may go to a replica.
//
// What the text cannot tell stays unknown: a view may call a stored function,
// and a table may be temporary. Tables names the candidates for the latter.
//
// Sources: "SQL Statements", "Built-in Functions", "Comment Syntax" and
// "Function Name Parsing and Resolution" of the MariaDB Knowledge Base and of
// the MySQL reference manual.
package sqlclass
