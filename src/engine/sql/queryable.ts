/** Runs SQL: a data source, or the manager of a transaction. */
export interface Queryable {
  query<T>(sql: string, parameters?: unknown[]): Promise<T>
}
