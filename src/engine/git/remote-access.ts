import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { addressOf, type RepositoryAddress } from '../repository-url.js'
import { type AccessFolder, openAccessFolder } from './access-folder.js'
import type { Remote } from './git.js'
import { type GitSettings, programEnvironment, sshCommand } from './git-command.js'
import { CHANGED_KEY, fingerprintOf, FORGES, type KnownHosts, knownHostName } from './host-keys.js'

export interface AccessOptions {
  readonly settings: GitSettings
  /** Where folders are made that hold a credential while it is used. */
  readonly folders: string
  readonly knownHosts: KnownHosts
}

/**
 * Runs `work` with the settings under which git can talk to a server: with the repository's credential, which is in files
 * of a folder of its own meanwhile and nowhere else, and with the host keys that are known.
 *
 * An SSH host that nobody knows is trusted, recorded and said; see {@link Remote.onNewHost}.
 */
export async function withRemoteAccess<T>(
  options: AccessOptions,
  remote: Remote,
  work: (settings: GitSettings) => Promise<T>,
): Promise<T> {
  const address = addressOf(remote.repoUrl)
  const needsFolder = address?.protocol === 'ssh' || remote.credential !== null
  if (address === null || !needsFolder) return work(options.settings)
  await using folder = await openAccessFolder(options.folders)
  // Awaited, so that the folder is there until the end.
  if (address.protocol === 'ssh') return await overSsh(options, { remote, address, folder }, work)
  return await work({ ...options.settings, remoteEnvironment: await tokenEnvironment(remote, folder) })
}

/** A program and a path: git passes the environment on to those that it starts, and there is no secret in it. */
async function tokenEnvironment(
  { repoUrl, credential }: Remote,
  folder: AccessFolder,
): Promise<NodeJS.ProcessEnv> {
  if (credential?.kind !== 'TOKEN') return {}
  const host = new RegExp('^https://([^/]+)/').exec(repoUrl)?.[1] ?? ''
  const lines = [host, credential.username ?? usernameFor(host), credential.token, '']
  return { GIT_ASKPASS: ASKPASS, LONGSHORE_GIT_TOKEN: await folder.write('token', lines.join('\n')) }
}

/** GitHub, GitLab, Gitea and Forgejo take any name with a token. */
export function usernameFor(host: string): string {
  return host.toLowerCase() === 'bitbucket.org' ? 'x-token-auth' : 'x-access-token'
}

/** In the project's folder, which is found from the sources, what they are compiled to and a bundle of it alike. */
const ASKPASS = join(projectFolder(), 'scripts/git-askpass')

function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}

interface SshAccess {
  readonly remote: Remote
  readonly address: RepositoryAddress
  readonly folder: AccessFolder
}

async function overSsh<T>(
  { settings, knownHosts }: AccessOptions,
  { remote, address, folder }: SshAccess,
  work: (settings: GitSettings) => Promise<T>,
): Promise<T> {
  const name = knownHostName(address)
  const known = FORGES[name] ?? (await knownHosts.find(name))
  const isNew = known === null && !(await isKnownToAccount(name))
  const file = await folder.write('known_hosts', known === null ? '' : `${name} ${known}\n`)
  const { credential } = remote
  const key = credential?.kind === 'DEPLOY_KEY' ? await folder.write('key', credential.privateKey) : null
  const command = sshCommand([
    `StrictHostKeyChecking=${isNew ? 'accept-new' : 'yes'}`,
    `UserKnownHostsFile=${quoted(file)} ${ACCOUNT_FILES.map((own) => `~/.ssh/${own}`).join(' ')}`,
    'HashKnownHosts=no',
    'UpdateHostKeys=no',
    // The account's own keys are not offered: a forge takes the first that it knows, for whatever repository it is.
    ...(key === null ? [] : [`IdentityFile=${quoted(key)}`, 'IdentitiesOnly=yes', 'IdentityAgent=none']),
  ])
  try {
    return await work({ ...settings, remoteEnvironment: { GIT_SSH_COMMAND: command } })
  } finally {
    if (isNew) await recordHost({ knownHosts, name, file }, remote)
  }
}

/** As in ssh_config, where % begins a placeholder. */
function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`
}

const ACCOUNT_FILES = ['known_hosts', 'known_hosts2']
const SYSTEM_FILES = ACCOUNT_FILES.map((name) => `/etc/ssh/ssh_${name}`)

/** Whoever runs Longshore may know the host; its name may be hashed there. */
async function isKnownToAccount(name: string): Promise<boolean> {
  const home = homeOfAccount()
  const files = [...ACCOUNT_FILES.map((own) => join(home, '.ssh', own)), ...SYSTEM_FILES]
  for (const file of files.filter((path) => existsSync(path))) {
    const found = await runProgram('ssh-keygen', ['-F', name, '-f', file], { env: programEnvironment() })
    if (found.exitCode === 0) return true
  }
  return false
}

/** Of the account and not of the environment, as ssh does. A user id of a container may have no account. */
function homeOfAccount(): string {
  try {
    return userInfo().homedir
  } catch {
    return '/'
  }
}

/** What ssh has written down of a host that was not known, also where it refused us afterwards. */
async function recordHost(
  { knownHosts, name, file }: { knownHosts: KnownHosts; name: string; file: string },
  { repoUrl, onNewHost }: Remote,
): Promise<void> {
  const line = (await readFile(file, 'utf8')).split('\n').find((one) => one.startsWith(`${name} `))
  if (line === undefined) return
  const seen = line.slice(name.length + 1).trim()
  const kept = await knownHosts.record(name, seen).catch((cause: unknown) => {
    throw new InfrastructureError('CLONE_FAILED', `the host key of ${name} could not be recorded`, cause)
  })
  if (kept !== seen) {
    const message = `git could not fetch ${repoUrl}: another worker saw the host key ${fingerprintOf(kept)} and this one ${fingerprintOf(seen)}. ${CHANGED_KEY}`
    throw new DeployError('CLONE_FAILED', message)
  }
  onNewHost?.(name, fingerprintOf(seen))
}
