/** An image's HEALTHCHECK: what the engine runs, how often, and what it said when the engine ran it last. */
export interface HealthCheck {
  /** A program and its arguments. */
  readonly command: readonly string[]
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly startPeriodMs: number
  readonly retries: number
  readonly last: CommandResult | null
}

/** A command that runs inside a container. */
export interface ContainerCommand {
  readonly container: string
  /** A program and its arguments. */
  readonly command: readonly string[]
  readonly timeoutMs: number
}

/** What a command inside a container came to. */
export interface CommandResult {
  /** Null: it had not ended when its time was over. */
  readonly exitCode: number | null
  /** The end of what it wrote. */
  readonly output: string
}
