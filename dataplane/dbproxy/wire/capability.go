package wire

// Capability is a set of protocol features: in the lower half the flags that
// MySQL and MariaDB share, in the upper half MariaDB's extended ones
// (Knowledge Base, "Connection", section "Capabilities").
type Capability uint64

// The capabilities.
const (
	CapMySQL                Capability = 1 << 0 // CLIENT_LONG_PASSWORD; a server that lacks it is MariaDB with extended flags
	CapFoundRows            Capability = 1 << 1 // affected rows count the rows found, not those changed
	CapLongFlag             Capability = 1 << 2
	CapConnectWithDB        Capability = 1 << 3 // the login names a database
	CapNoSchema             Capability = 1 << 4
	CapCompress             Capability = 1 << 5
	CapODBC                 Capability = 1 << 6
	CapLocalFiles           Capability = 1 << 7 // LOAD DATA LOCAL
	CapIgnoreSpace          Capability = 1 << 8
	CapProtocol41           Capability = 1 << 9 // the protocol since MySQL 4.1, the only one spoken here
	CapInteractive          Capability = 1 << 10
	CapSSL                  Capability = 1 << 11
	CapIgnoreSigpipe        Capability = 1 << 12
	CapTransactions         Capability = 1 << 13 // status flags are sent
	CapReserved             Capability = 1 << 14
	CapSecureConnection     Capability = 1 << 15 // 20-byte scrambles
	CapMultiStatements      Capability = 1 << 16
	CapMultiResults         Capability = 1 << 17
	CapPSMultiResults       Capability = 1 << 18
	CapPluginAuth           Capability = 1 << 19
	CapConnectAttrs         Capability = 1 << 20
	CapPluginAuthLenenc     Capability = 1 << 21 // the login's token may exceed 255 bytes
	CapExpiredPasswords     Capability = 1 << 22
	CapSessionTrack         Capability = 1 << 23 // OK packets tell changes of the session
	CapDeprecateEOF         Capability = 1 << 24 // OK packets instead of EOF packets
	CapOptionalMetadata     Capability = 1 << 25 // of MySQL; CapCacheMetadata is MariaDB's
	CapZstd                 Capability = 1 << 26
	CapQueryAttributes      Capability = 1 << 27 // changes the form of COM_QUERY and COM_STMT_EXECUTE
	CapMultiFactor          Capability = 1 << 28
	CapProgressObsolete     Capability = 1 << 29 // progress reports of MariaDB; unused by MySQL on the wire
	CapSSLVerifyServerCert  Capability = 1 << 30
	CapRememberOptions      Capability = 1 << 31
	CapProgress             Capability = 1 << 32 // MARIADB_CLIENT_PROGRESS
	CapComMulti             Capability = 1 << 33 // MARIADB_CLIENT_COM_MULTI, reserved
	CapBulkOperations       Capability = 1 << 34 // MARIADB_CLIENT_STMT_BULK_OPERATIONS: COM_STMT_BULK_EXECUTE
	CapExtendedMetadata     Capability = 1 << 35 // MARIADB_CLIENT_EXTENDED_METADATA: further type info in column definitions
	CapCacheMetadata        Capability = 1 << 36 // MARIADB_CLIENT_CACHE_METADATA: known column definitions are not repeated
	CapBulkUnitResults      Capability = 1 << 37 // MARIADB_CLIENT_BULK_UNIT_RESULTS
	capStandard             Capability = 1<<32 - 1
	capNeeded                          = CapProtocol41 | CapSecureConnection
	capOfTheConnection                 = CapSSL | CapConnectWithDB | CapConnectAttrs | CapPluginAuth | CapPluginAuthLenenc
	capChangingCommandForms            = CapCompress | CapZstd | CapOptionalMetadata | CapQueryAttributes | CapMultiFactor | CapComMulti
)

// Relayable are the capabilities that a proxy may grant a client as far as its
// backends have them: those this package understands.
const Relayable = ^capChangingCommandForms & (CapBulkUnitResults<<1 - 1) &^ (CapReserved | CapSSLVerifyServerCert | CapRememberOptions)

// Has tells whether all of the wanted capabilities are in the set.
func (c Capability) Has(wanted Capability) bool { return c&wanted == wanted }

// Status is the set of flags that OK and EOF packets carry (Knowledge Base,
// "OK_Packet").
type Status uint16

// The status flags.
const (
	StatusInTransaction       Status = 1 << 0
	StatusAutocommit          Status = 1 << 1
	StatusMoreResults         Status = 1 << 3 // another result follows in the same answer
	StatusNoGoodIndexUsed     Status = 1 << 4
	StatusNoIndexUsed         Status = 1 << 5
	StatusCursorExists        Status = 1 << 6 // rows are to be had by COM_STMT_FETCH
	StatusLastRowSent         Status = 1 << 7
	StatusDatabaseDropped     Status = 1 << 8
	StatusNoBackslashEscapes  Status = 1 << 9
	StatusMetadataChanged     Status = 1 << 10
	StatusQueryWasSlow        Status = 1 << 11
	StatusOutParameters       Status = 1 << 12 // this result holds OUT parameters of a procedure
	StatusReadOnlyTransaction Status = 1 << 13
	StatusSessionStateChanged Status = 1 << 14
)

// Has tells whether all of the wanted flags are set.
func (s Status) Has(wanted Status) bool { return s&wanted == wanted }

// Character sets, by the id of a collation; the login has room for ids up to
// 255 (Knowledge Base, "Supported Character Sets and Collations").
const (
	CharsetLatin1        = 8   // latin1_swedish_ci
	CharsetASCII         = 11  // ascii_general_ci
	CharsetUTF8          = 33  // utf8mb3_general_ci
	CharsetUTF8MB4       = 45  // utf8mb4_general_ci
	CharsetUTF8MB4Binary = 46  // utf8mb4_bin
	CharsetBinary        = 63  // binary
	CharsetUTF8Binary    = 83  // utf8mb3_bin
	CharsetUTF8Unicode   = 192 // utf8mb3_unicode_ci
	CharsetUTF8MB4Uni    = 224 // utf8mb4_unicode_ci
	CharsetUTF8MB4MySQL8 = 255 // utf8mb4_0900_ai_ci, unknown to MariaDB before 11.4
)
