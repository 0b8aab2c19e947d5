package sqlclass

import "strings"

// function is what is known of a built-in function.
type function uint16

const (
	fnMariaDB   function = 1 << iota // MariaDB 10.6 and later have it
	fnMariaDB11                      // MariaDB 11.4 and later have it
	fnMySQL                          // MySQL 8.0 and later have it
	fnTight                          // no space before its parenthesis, unless sql_mode has IGNORE_SPACE
	fnVarying                        // two calls may differ
	fnMaster                         // what it tells or does belongs to the master
	fnInsertID
	fnLock
	fnPrevious // it tells of the statement before
	fnSequence
	fnWrite
	fnWait // it waits for replication
	fnArgs // without arguments its name is that of a stored function
)

const (
	fnAllMariaDB = fnMariaDB | fnMariaDB11
	fnEveryone   = fnAllMariaDB | fnMySQL
)

// servers are those a function must be built into for a session of the mode.
func (m Mode) servers() function {
	switch {
	case m.has(MariaDB):
		return fnMariaDB
	case m.has(MariaDB11):
		return fnMariaDB11
	case m.has(MySQL):
		return fnMySQL
	}
	return fnEveryone
}

// commonFunctions are built into both servers.
const commonFunctions = `abs acos adddate addtime aes_decrypt aes_encrypt ascii asin atan atan2 avg benchmark bin
	bit_and bit_count bit_length bit_or bit_xor cast ceil ceiling char char_length character_length charset coalesce
	coercibility collation compress concat concat_ws connection_id conv convert convert_tz cos cot count crc32
	cume_dist curdate current_date current_role current_time current_timestamp current_user curtime database date
	date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear default degrees dense_rank elt
	exp export_set extract extractvalue field find_in_set first_value floor format found_rows from_base64 from_days
	from_unixtime geometrycollection get_format get_lock greatest group_concat hex hour if ifnull inet6_aton
	inet6_ntoa inet_aton inet_ntoa insert instr interval is_free_lock is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6
	is_used_lock isnull json_array json_array_append json_array_insert json_arrayagg json_contains
	json_contains_path json_depth json_extract json_insert json_keys json_length json_merge_patch
	json_merge_preserve json_object json_objectagg json_overlaps json_pretty json_quote json_remove json_replace
	json_search json_set json_table json_type json_unquote json_valid json_value lag last_day last_insert_id
	last_value lcase lead least left length linestring ln load_file localtime localtimestamp locate log log10 log2
	lower lpad ltrim make_set makedate maketime master_pos_wait match max mbrcontains mbrdisjoint mbrequals
	mbrintersects mbroverlaps mbrtouches mbrwithin md5 microsecond mid min minute mod month monthname
	multilinestring multipoint multipolygon name_const now nth_value ntile nullif oct octet_length ord percent_rank
	period_add period_diff pi polygon position pow power quarter quote radians rand random_bytes rank regexp_instr
	regexp_replace regexp_substr release_all_locks release_lock repeat replace reverse right round row row_count
	row_number rpad rtrim schema sec_to_time second session_user sha sha1 sha2 sign sin sleep soundex space sqrt
	st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_buffer st_centroid st_contains st_convexhull
	st_crosses st_difference st_dimension st_disjoint st_distance st_distance_sphere st_endpoint st_envelope
	st_equals st_exteriorring st_geomcollfromtext st_geomcollfromwkb st_geometrycollectionfromtext
	st_geometrycollectionfromwkb st_geometryfromtext st_geometryfromwkb st_geometryn st_geometrytype
	st_geomfromgeojson st_geomfromtext st_geomfromwkb st_interiorringn st_intersection st_intersects st_isclosed
	st_isempty st_issimple st_length st_linefromtext st_linefromwkb st_linestringfromtext st_linestringfromwkb
	st_mlinefromtext st_mlinefromwkb st_mpointfromtext st_mpointfromwkb st_mpolyfromtext st_mpolyfromwkb
	st_multilinestringfromtext st_multilinestringfromwkb st_multipointfromtext st_multipointfromwkb
	st_multipolygonfromtext st_multipolygonfromwkb st_numgeometries st_numinteriorrings st_numpoints st_overlaps
	st_pointfromtext st_pointfromwkb st_pointn st_polyfromtext st_polyfromwkb st_polygonfromtext st_polygonfromwkb
	st_srid st_startpoint st_symdifference st_touches st_union st_within st_x st_y std stddev stddev_pop
	stddev_samp str_to_date strcmp subdate substr substring substring_index subtime sum sysdate system_user tan time
	time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_days to_seconds trim truncate
	ucase uncompress uncompressed_length unhex unix_timestamp updatexml upper user utc_date utc_time utc_timestamp
	uuid uuid_short values var_pop var_samp variance version week weekday weekofyear weight_string year yearweek`

// mariadbFunctions are built into MariaDB alone.
const mariadbFunctions = `add_months area asbinary astext aswkb aswkt binlog_gtid_pos boundary buffer centroid chr
	column_add column_check column_create column_delete column_exists column_get column_json column_list
	concat_operator_oracle contains convexhull crc32c crosses decode decode_histogram decode_oracle des_decrypt
	des_encrypt dimension disjoint encode encrypt endpoint envelope equals exteriorring geomcollfromtext
	geomcollfromwkb geometrycollectionfromtext geometrycollectionfromwkb geometryfromtext geometryfromwkb geometryn
	geometrytype geomfromtext geomfromwkb glength interiorringn intersects isclosed isempty isring issimple
	json_compact json_detailed json_equals json_exists json_loose json_merge json_normalize json_query lastval
	lengthb linefromtext linefromwkb linestringfromtext linestringfromwkb lpad_oracle ltrim_oracle master_gtid_wait
	mbrequal median mlinefromtext mlinefromwkb mpointfromtext mpointfromwkb mpolyfromtext mpolyfromwkb
	multilinestringfromtext multilinestringfromwkb multipointfromtext multipointfromwkb multipolygonfromtext
	multipolygonfromwkb natural_sort_key nextval numgeometries numinteriorrings numpoints nvl nvl2 old_password
	overlaps password percentile_cont percentile_disc pointfromtext pointfromwkb pointn pointonsurface polyfromtext
	polyfromwkb polygonfromtext polygonfromwkb replace_oracle rownum rpad_oracle rtrim_oracle schemas setval
	sformat srid st_boundary st_isring st_pointonsurface st_relate startpoint substr_oracle sys_guid to_char touches
	trim_oracle value within wsrep_last_seen_gtid wsrep_last_written_gtid wsrep_sync_wait_upto_gtid x y`

// mariadb11Functions are not in all releases of MariaDB 10.
const mariadb11Functions = `format_pico_time json_array_intersect json_key_value json_object_filter_keys
	json_object_to_array json_schema_valid kdf`

// mysqlFunctions are built into MySQL alone.
const mysqlFunctions = `any_value bin_to_uuid format_bytes format_pico_time grouping gtid_subset gtid_subtract
	icu_version is_uuid json_merge json_schema_valid json_schema_validation_report json_storage_free
	json_storage_size mbrcoveredby mbrcovers password point ps_current_thread_id ps_thread_id regexp_like
	roles_graphml source_pos_wait st_buffer_strategy st_collect st_frechetdistance st_geohash st_geomcollfromtxt
	st_hausdorffdistance st_isvalid st_latfromgeohash st_latitude st_lineinterpolatepoint
	st_lineinterpolatepoints st_longfromgeohash st_longitude st_makeenvelope st_numinteriorring
	st_pointatdistance st_pointfromgeohash st_simplify st_swapxy st_transform st_validate statement_digest
	statement_digest_text to_vector uuid_to_bin validate_password_strength vector_dim vector_to_string
	wait_for_executed_gtid_set wait_until_sql_thread_after_gtids`

// tightFunctions are those of which a name followed by a space is that of a
// stored function.
const tightFunctions = `adddate bit_and bit_or bit_xor cast count cume_dist curdate curtime date_add date_sub dense_rank
	extract first_value group_concat json_arrayagg json_objectagg lag lead max median mid min now nth_value ntile
	percent_rank percentile_cont percentile_disc position rank row_number session_user st_collect std stddev
	stddev_pop stddev_samp subdate substr substring sum sysdate system_user trim trim_oracle var_pop var_samp
	variance`

var functionTraits = []struct {
	names string
	trait function
}{
	{`benchmark connection_id convert_tz curdate current_date current_role current_time current_timestamp current_user
	curtime database encrypt from_unixtime load_file localtime localtimestamp name_const now rand random_bytes
	roles_graphml schema session_user sleep sys_guid sysdate system_user unix_timestamp user utc_date utc_time
	utc_timestamp uuid uuid_short version rownum ps_current_thread_id ps_thread_id des_encrypt kdf icu_version`, fnVarying},
	{`last_insert_id`, fnVarying | fnMaster | fnInsertID},
	{`get_lock release_lock is_used_lock is_free_lock release_all_locks`, fnVarying | fnMaster | fnLock},
	{`binlog_gtid_pos wsrep_last_seen_gtid wsrep_last_written_gtid`, fnVarying | fnMaster},
	{`found_rows row_count`, fnVarying | fnPrevious},
	{`nextval setval`, fnVarying | fnSequence | fnWrite},
	{`lastval`, fnVarying | fnSequence | fnMaster},
	{`master_pos_wait source_pos_wait master_gtid_wait wait_for_executed_gtid_set
	wait_until_sql_thread_after_gtids wsrep_sync_wait_upto_gtid`, fnVarying | fnWait},
	{tightFunctions, fnTight},
	{`geometrycollection linestring multilinestring multipoint multipolygon polygon`, fnArgs},
}

var functions = func() map[string]function {
	all := make(map[string]function, 600)
	add := func(names string, trait function) {
		for _, name := range strings.Fields(names) {
			all[name] |= trait
		}
	}
	add(commonFunctions, fnEveryone)
	add(mariadbFunctions, fnAllMariaDB)
	add(mariadb11Functions, fnMariaDB11)
	add(mysqlFunctions, fnMySQL)
	for _, t := range functionTraits {
		add(t.names, t.trait)
	}
	return all
}()

const longestFunction = 33

// lookupFunction finds a built-in function.
func lookupFunction(name []byte) (function, bool) {
	if len(name) > longestFunction {
		return 0, false
	}
	var buffer [longestFunction]byte
	f, ok := functions[string(lower(buffer[:], name))]
	return f, ok
}

// builtIn tells whether a name calls a function that all servers of the mode
// have built in; paren is the parenthesis behind it.
func (m Mode) builtIn(name []byte, paren token) (function, bool) {
	f, ok := lookupFunction(name)
	if !ok || f&m.servers() != m.servers() {
		return 0, false
	}
	// IGNORE_SPACE does not ignore comments.
	if f&fnTight != 0 && (paren.comment || paren.gap && m&(IgnoreSpace|UnknownSQLMode) != IgnoreSpace) {
		return 0, false
	}
	return f, true
}
