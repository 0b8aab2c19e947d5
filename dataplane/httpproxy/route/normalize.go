package route

// Normalize brings the path of a target into normal form: %-escapes of what
// is not reserved are decoded, the digits of the others are upper case, "." and
// ".." segments and repeated slashes are gone. It is not ok if there is a "%"
// without two digits, or "%00", or no slash at the start of anything but "*".
func Normalize(raw string) (path string, ok bool) { return raw, true }

// Escape makes of a path in normal form what may be sent: all but reserved and
// unreserved characters is escaped. Normalize takes it back.
func Escape(path string) string { return path }
