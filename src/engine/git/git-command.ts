import { programPath } from '../../config.js'
import { type ProgramResult, runProgram } from '../../process.js'

export interface GitSettings {
  readonly allowFileRepos: boolean
  /** Empty folder that git takes for the home: no configuration of the machine's users applies. */
  readonly homeDir: string
}

// Hooks, credential helpers, file watchers and redirects to other hosts are off whatever a repository says.
const FIXED = [
  'core.hooksPath=/dev/null',
  'credential.helper=',
  'core.fsmonitor=false',
  'protocol.ext.allow=never',
  'http.followRedirects=initial',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=30',
  // Always a pack: what is received can be measured while it comes, and one file is removed if it is too much.
  'fetch.unpackLimit=1',
  'gc.auto=0',
  'maintenance.auto=false',
].flatMap((setting) => ['-c', setting])

/** `-F none`: no configuration of the user; keys and known hosts are those of the account Longshore runs as. */
const SSH =
  'ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o ProxyCommand=none -o PermitLocalCommand=no'

/** Arguments before the subcommand. */
export function gitArguments(args: readonly string[]): string[] {
  return [...FIXED, ...args]
}

export function gitEnvironment(settings: GitSettings): NodeJS.ProcessEnv {
  return {
    PATH: programPath(),
    HOME: settings.homeDir,
    LC_ALL: 'C',
    GIT_ALLOW_PROTOCOL: settings.allowFileRepos ? 'https:ssh:file' : 'https:ssh',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    GIT_SSH_COMMAND: SSH,
  }
}

export interface GitRun {
  readonly signal?: AbortSignal
  /** Hears what git writes of a transfer. */
  readonly onProgress?: (bytes: Buffer) => void
  /** Of its output, the last; 256 KiB where nothing is said. */
  readonly keepBytes?: number
}

/** Runs git to its end; a non-zero exit is a result. */
export function runGit(
  settings: GitSettings,
  args: readonly string[],
  { signal, onProgress, keepBytes }: GitRun = {},
): Promise<ProgramResult> {
  const heard = { ...(onProgress && { onStderr: onProgress }), ...(keepBytes && { keepBytes }) }
  const options = { env: gitEnvironment(settings), signal, ...heard }
  return runProgram('git', gitArguments(args), options)
}

/** A bare repository on this machine, and how git is run on it. */
export interface Mirror {
  readonly path: string
  readonly settings: GitSettings
}

/** {@link runGit} in a mirror. */
export function runInMirror(mirror: Mirror, args: readonly string[], run?: GitRun): Promise<ProgramResult> {
  return runGit(mirror.settings, ['-C', mirror.path, ...args], run)
}
