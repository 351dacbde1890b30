import { programPath, proxyEnvironment } from '../../environment.js'
import {
  type ChildProcess,
  type ProgramResult,
  runProgram,
  type RunOptions,
  startProgram,
} from '../../process.js'

/** What runs as git: the binary, or what takes the same arguments (nodegit/). */
export interface GitProgram {
  readonly file: string
  /** Arguments before those of git. */
  readonly before: readonly string[]
}

export const GIT_BINARY: GitProgram = { file: 'git', before: [] }

export interface GitSettings {
  /** The binary where nothing else is said. */
  readonly program?: GitProgram
  readonly allowFileRepos: boolean
  /** Empty folder that git takes for the home: no configuration of the machine's users applies. */
  readonly homeDir: string
  /** Certificates of CAs that servers are trusted by; null: those of the system. */
  readonly caBundle?: string | null
  /** What is added for a conversation with one server: how the credential and the host's key are found. */
  readonly remoteEnvironment?: NodeJS.ProcessEnv
}

// Hooks, credential helpers, file watchers and redirects to other hosts are off whatever a repository says.
const FIXED = [
  'core.hooksPath=/dev/null',
  'credential.helper=',
  'core.fsmonitor=false',
  'protocol.ext.allow=never',
  'http.followRedirects=initial',
  // Always a pack: what is received can be measured while it comes, and one file is removed if it is too much.
  'fetch.unpackLimit=1',
  'gc.auto=0',
  'maintenance.auto=false',
].flatMap((setting) => ['-c', setting])

const SSH_OPTIONS = [
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'ProxyCommand=none',
  'PermitLocalCommand=no',
]

/**
 * The command that git runs for ssh. `-F none`: no configuration of the user; keys and known hosts are those of the account
 * Longshore runs as, unless `options` say otherwise: of two that set the same, ssh takes the first. git leaves the command
 * to a shell, so each is quoted.
 */
export function sshCommand(options: readonly string[] = []): string {
  const quoted = [...options, ...SSH_OPTIONS].map((option) => `'${option.replaceAll("'", "'\\''")}'`)
  return ['ssh -F none', ...quoted].join(' -o ')
}

/** For programs that need nothing else. */
export function programEnvironment(): NodeJS.ProcessEnv {
  return { PATH: programPath(), LC_ALL: 'C' }
}

function commandOf({ program = GIT_BINARY }: GitSettings, args: readonly string[]): [string, string[]] {
  return [program.file, [...program.before, ...FIXED, ...args]]
}

export function gitEnvironment(settings: GitSettings): NodeJS.ProcessEnv {
  return {
    ...programEnvironment(),
    HOME: settings.homeDir,
    GIT_ALLOW_PROTOCOL: settings.allowFileRepos ? 'https:ssh:file' : 'https:ssh',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    GIT_SSH_COMMAND: sshCommand(),
    ...proxyEnvironment(),
    ...(settings.caBundle ? { GIT_SSL_CAINFO: settings.caBundle } : {}),
    ...settings.remoteEnvironment,
  }
}

export interface GitRun extends Pick<RunOptions, 'signal' | 'keep' | 'keepBytes' | 'onStart'> {
  /** Hears what git writes of a transfer. */
  readonly onProgress?: (bytes: Buffer) => void
}

/** Runs git to its end; a non-zero exit is a result. */
export function runGit(
  settings: GitSettings,
  args: readonly string[],
  { onProgress, ...run }: GitRun = {},
): Promise<ProgramResult> {
  const options = { ...run, env: gitEnvironment(settings), ...(onProgress ? { onStderr: onProgress } : {}) }
  return runProgram(...commandOf(settings, args), options)
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

/** Starts git in a mirror, for its output to be read as it comes. */
export function startInMirror(
  { path, settings }: Mirror,
  args: readonly string[],
  stdio: [stdin: 'pipe' | 'ignore', stdout: 'pipe', stderr: 'pipe' | 'ignore'],
): ChildProcess {
  const [file, list] = commandOf(settings, ['-C', path, ...args])
  return startProgram(file, list, { env: gitEnvironment(settings), stdio })
}
