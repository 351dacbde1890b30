/** The process's own log, one line each: never build output, never a secret. */
export interface Logger {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}

type Fields = Readonly<Record<string, unknown>>
const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LEVELS)[number]

/** Writes lines of `level` and above to stderr: `2026-01-01T00:00:00.000Z info  message key=value`. */
export function createLogger(level: LogLevel): Logger {
  const minLevel = LEVELS.indexOf(level)
  const write =
    (at: LogLevel) =>
    (message: string, fields: Fields = {}) => {
      if (LEVELS.indexOf(at) < minLevel) return
      const tail = Object.entries(fields).map(([key, value]) => ` ${key}=${render(value)}`)
      process.stderr.write(`${new Date().toISOString()} ${at.padEnd(5)} ${message}${tail.join('')}\n`)
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

/** One line whatever the value: an error keeps its message and, below, nothing that a terminal would obey. */
function render(value: unknown): string {
  const text = value instanceof Error ? (value.stack ?? value.message) : String(value)
  return JSON.stringify(text).replace(/^"(\S*)"$/, '$1')
}
