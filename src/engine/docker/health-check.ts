import type { HealthCheck } from './command.js'

const NANOS_OF_MS = 1e6
/** What Docker takes where the image says nothing. */
const DEFAULT = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3 }
const DEFAULT_SHELL = ['/bin/sh', '-c']

/** A container's HEALTHCHECK and what it said last, as the engine tells them; durations in nanoseconds. */
export interface InspectedHealth {
  readonly Config: {
    readonly Shell?: readonly string[] | null
    readonly Healthcheck?: {
      readonly Test?: readonly string[] | null
      readonly Interval?: number
      readonly Timeout?: number
      readonly StartPeriod?: number
      readonly Retries?: number
    } | null
  }
  readonly State: {
    readonly Health?: { readonly Log?: readonly { ExitCode: number; Output: string }[] | null } | null
  }
}

/** Null: it has none. */
export function readHealthCheck({ Config, State }: InspectedHealth): HealthCheck | null {
  const { Test, Interval, Timeout, StartPeriod, Retries } = Config.Healthcheck ?? {}
  const command = commandOf(Test ?? [], Config.Shell ?? DEFAULT_SHELL)
  if (command === null) return null
  const last = State.Health?.Log?.at(-1)
  return {
    command,
    intervalMs: (Interval ?? 0) / NANOS_OF_MS || DEFAULT.intervalMs,
    timeoutMs: (Timeout ?? 0) / NANOS_OF_MS || DEFAULT.timeoutMs,
    startPeriodMs: (StartPeriod ?? 0) / NANOS_OF_MS,
    retries: Retries || DEFAULT.retries,
    last: last ? { exitCode: last.ExitCode, output: last.Output } : null,
  }
}

function commandOf([kind, ...rest]: readonly string[], shell: readonly string[]): string[] | null {
  if (kind === 'CMD') return rest
  if (kind === 'CMD-SHELL') return [...shell, rest.join(' ')]
  return null
}
