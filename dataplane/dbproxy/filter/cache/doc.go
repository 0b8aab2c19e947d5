// Package cache is a filter that keeps the results of SELECTs and answers the
// same SELECT with them again ("Cache", MaxScale).
//
// Results are kept for a text in a default database and under the settings of
// the session that the text is read and answered by: its protocol, character
// set and the system variables that it has set. A result that was read while
// one of its tables was written to is not kept (invalidate=current).
//
// Sessions belong to no thread here, so that cached_data=thread_specific means
// what shared means: there is one cache for all.
package cache
