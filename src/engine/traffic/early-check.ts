import type { CommandResult, HealthCheck } from '../docker/command.js'
import type { Docker } from '../docker/docker.js'

/**
 * Runs a container's HEALTHCHECK before the engine does, whose first run comes after an interval: 30 s, unless the image says
 * otherwise. One that does not end in time is left to the engine, because nobody can end it.
 */
export class EarlyCheck {
  #hangs = false

  constructor(
    private readonly container: string,
    private readonly docker: Pick<Docker, 'runCommand'>,
  ) {}

  /** Null: the container does not run, or an earlier run did not end in time. Rejects with the reason of `signal`. */
  async run({ command, timeoutMs }: HealthCheck, signal: AbortSignal): Promise<CommandResult | null> {
    if (this.#hangs) return null
    const result = await this.docker.runCommand({ container: this.container, command, timeoutMs }, signal)
    this.#hangs = result?.exitCode === null
    return result
  }
}
