/**
 * Classes of SQLSTATE in which PostgreSQL has understood a statement and will refuse it again: data, integrity, syntax or
 * access, program limits. All others pass: connections, restarts, deadlocks, full disks.
 */
const REFUSED_CLASSES: readonly string[] = ['22', '23', '42', '54']
const UNIQUE_VIOLATION = '23505'

interface DatabaseError {
  readonly code?: unknown
  readonly constraint?: unknown
}

/** Whether to send the same statement again is of no use. */
export function isRefused(error: unknown): boolean {
  const { code } = error as DatabaseError
  return typeof code === 'string' && code.length === 5 && REFUSED_CLASSES.includes(code.slice(0, 2))
}

/** Whether a statement would have given a unique index or constraint a second row. */
export function violatesUnique(error: unknown, constraint: string): boolean {
  const { code, constraint: violated } = error as DatabaseError
  return code === UNIQUE_VIOLATION && violated === constraint
}
