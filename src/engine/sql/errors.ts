/**
 * Classes of SQLSTATE in which PostgreSQL has understood a statement and will refuse it again: data, integrity, syntax or
 * access, program limits. All others pass: connections, restarts, deadlocks, full disks.
 */
const REFUSED_CLASSES: readonly string[] = ['22', '23', '42', '54']
const UNIQUE_VIOLATION = '23505'

interface DatabaseError {
  readonly code?: unknown
  readonly constraint?: unknown
  readonly message?: unknown
  /** Of TypeORM's error around it. */
  readonly driverError?: unknown
}

/** The server has said nothing of a statement, and does not answer or knows nothing of it. */
export class DatabaseSilentError extends Error {
  override name = 'DatabaseSilentError'
  readonly code = 'DATABASE_SILENT'

  constructor() {
    super('the database does not answer')
  }
}

/** Connections that fail, in the words of the system and of pg. */
const AWAY = new RegExp(
  [
    'DATABASE_SILENT|ECONN(REFUSED|RESET|ABORTED)|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|ENOTFOUND|EAI_AGAIN',
    'timeout exceeded when trying to connect|Connection terminated|timeout expired',
  ].join('|'),
)
/** SQLSTATEs of a server that ends, or starts. */
const RESTARTING = /^(08|57P0[123])/

/** Whether a statement failed for want of a server that answers. It may have been carried out all the same. */
export function isDatabaseAway(error: unknown): boolean {
  const { driverError } = (error ?? {}) as DatabaseError
  const { code, message } = (driverError ?? error ?? {}) as DatabaseError
  return hasSqlState({ code })
    ? RESTARTING.test(String(code))
    : AWAY.test(`${String(code)} ${String(message)}`)
}

/** Whether the server itself has said what failed. (No SQLSTATE begins with the E of the system's own codes, as EPIPE.) */
export function hasSqlState(error: unknown): boolean {
  const { code } = error as DatabaseError
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code)
}

/** Whether to send the same statement again is of no use. */
export function isRefused(error: unknown): boolean {
  const { code } = error as DatabaseError
  return hasSqlState(error) && REFUSED_CLASSES.includes(String(code).slice(0, 2))
}

/** Whether a statement would have given a unique index or constraint a second row. */
export function violatesUnique(error: unknown, constraint: string): boolean {
  const { code, constraint: violated } = error as DatabaseError
  return code === UNIQUE_VIOLATION && violated === constraint
}
