import { withTimeout } from './calls.js'
import type { ContainerState, Docker } from './docker.js'

/** How a container ended by itself. */
export interface ContainerExit {
  readonly code: 'EXITED' | 'OUT_OF_MEMORY'
  readonly why: string
  /** Null: nobody knows any more. */
  readonly exitCode: number | null
}

/** Traffic may fail meanwhile: it is told without the code rather than later. */
const CODE_MS = 1_000
/** Ended by SIGKILL. A busy engine may learn of the exit before it learns that memory was the reason. */
const KILLED = 137

/**
 * Of a container that does not run, or that the engine has started again. The engine's events are asked where the state
 * does not say it. Never rejects.
 */
export async function describeExit(
  container: string,
  state: ContainerState,
  docker: Docker,
): Promise<ContainerExit> {
  const asked = () => withTimeout(() => docker.lastExit(container), CODE_MS).catch(() => null)
  const isUnclear = state.running || (state.exitCode === KILLED && !state.outOfMemory)
  const told = isUnclear ? await asked() : null
  const exitCode = state.running ? (told?.exitCode ?? null) : state.exitCode
  if (state.outOfMemory || told?.outOfMemory)
    return { code: 'OUT_OF_MEMORY', why: 'it used more memory than its limit (OOM)', exitCode }
  const ended = `exit code ${exitCode ?? 'unknown'}`
  const why = state.restarts > 0 ? `it exited and was restarted (${ended})` : `it exited with ${ended}`
  return { code: 'EXITED', why, exitCode }
}
