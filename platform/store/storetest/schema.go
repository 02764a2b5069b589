package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/platform/store"
)

// Both queries give (object, description). A type is named by its kind; the
// columns of a key stand in their order; goose's own tables are left out.
const (
	sqliteSchema = `
SELECT 'column ' || t.name || '.' || c.name,
       CASE upper(c.type) WHEN 'BIGINT' THEN 'int' WHEN 'INTEGER' THEN 'int' WHEN 'INT' THEN 'int' WHEN 'SMALLINT' THEN 'int'
            WHEN 'TEXT' THEN 'text' WHEN 'BLOB' THEN 'bytes' WHEN 'REAL' THEN 'real' ELSE lower(c.type) END
       || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' not null' ELSE '' END
  FROM pragma_table_list t JOIN pragma_table_info(t.name) c
 WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND t.name NOT LIKE 'goose\_%' ESCAPE '\'
UNION ALL
SELECT 'key of ' || name, group_concat(col, ',')
  FROM (SELECT t.name AS name, c.name AS col FROM pragma_table_list t JOIN pragma_table_info(t.name) c
         WHERE t.schema = 'main' AND t.type = 'table' AND c.pk > 0 AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND t.name NOT LIKE 'goose\_%' ESCAPE '\'
         ORDER BY t.name, c.pk)
 GROUP BY name
UNION ALL
SELECT 'unique on ' || tab || '(' || group_concat(col, ',') || ')', CASE WHEN partial = 1 THEN 'partial' ELSE 'whole' END
  FROM (SELECT t.name AS tab, i.name AS idx, i.partial AS partial, coalesce(x.name, '<expression>') AS col
          FROM pragma_table_list t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) x
         WHERE t.schema = 'main' AND i."unique" = 1 AND i.origin <> 'pk' AND t.name NOT LIKE 'goose\_%' ESCAPE '\'
         ORDER BY t.name, i.name, x.seqno)
 GROUP BY tab, idx`

	postgresSchema = `
SELECT 'column ' || c.relname || '.' || a.attname,
       CASE format_type(a.atttypid, a.atttypmod) WHEN 'bigint' THEN 'int' WHEN 'integer' THEN 'int' WHEN 'smallint' THEN 'int'
            WHEN 'text' THEN 'text' WHEN 'bytea' THEN 'bytes' WHEN 'double precision' THEN 'real' ELSE format_type(a.atttypid, a.atttypmod) END
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND c.relname NOT LIKE 'goose\_%'
UNION ALL
SELECT CASE WHEN i.indisprimary THEN 'key of ' || c.relname ELSE 'unique on ' || c.relname || '(' || k.cols || ')' END,
       CASE WHEN i.indisprimary THEN k.cols WHEN i.indpred IS NULL THEN 'whole' ELSE 'partial' END
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  CROSS JOIN LATERAL (SELECT string_agg(coalesce(a.attname, '<expression>'), ',' ORDER BY u.ord) AS cols
                        FROM unnest(i.indkey::int[]) WITH ORDINALITY u(num, ord)
                        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num AND u.num <> 0) k
 WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND c.relname NOT LIKE 'goose\_%'`
)

// readSchema describes every table, one object per entry.
func readSchema(ctx context.Context, db *store.DB) (map[string]string, error) {
	query := sqliteSchema
	if db.Dialect() == store.Postgres {
		query = postgresSchema
	}
	schema := make(map[string]string)
	err := db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells
		for rows.Next() {
			var object, what string
			if err := rows.Scan(&object, &what); err != nil {
				return err
			}
			if strings.TrimSpace(what) == "" {
				return fmt.Errorf("%s has no description", object)
			}
			schema[object] = what
		}
		return rows.Err()
	})
	return schema, err
}
