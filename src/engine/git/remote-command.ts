import type { ProgramResult } from '../../process.js'
import { OutageError } from '../errors.js'
import { type GitSettings, runGit } from './git-command.js'
import { type SilenceListener, SilenceWatch } from './silence.js'

/** How long a fetch may take, and how long its server may send nothing meanwhile. */
export interface FetchLimits {
  readonly timeoutMs: number
  readonly silenceMs: number
}

/** A git that talks to a server. */
export interface RemoteCommand {
  readonly args: readonly string[]
  readonly limits: FetchLimits
  readonly onProgress?: (bytes: Buffer) => void
  readonly onSilence?: SilenceListener | undefined
}

/**
 * Runs it to its end; a non-zero exit is a result.
 *
 * @throws OutageError CLONE_TIMEOUT when the server has sent nothing for `silenceMs`
 */
export async function runRemote(
  settings: GitSettings,
  { args, limits, onProgress, onSilence }: RemoteCommand,
  signal: AbortSignal,
): Promise<ProgramResult> {
  using watch = new SilenceWatch(limits.silenceMs, onSilence)
  try {
    return await runGit(settings, args, {
      signal: AbortSignal.any([signal, watch.signal]),
      onStart: (pid) => watch.start(pid),
      onProgress: (bytes) => {
        watch.heard()
        onProgress?.(bytes)
      },
    })
  } catch (cause) {
    if (signal.aborted || !watch.signal.aborted) throw cause
    const message =
      `the server sent nothing for ${seconds(limits.silenceMs)} (FETCH_SILENCE_TIMEOUT; ` +
      `a whole fetch may take ${seconds(limits.timeoutMs)}, CLONE_TIMEOUT)`
    throw new OutageError('CLONE_TIMEOUT', message, cause)
  }
}

export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}
