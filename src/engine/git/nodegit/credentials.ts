import { existsSync } from 'node:fs'
import { readFile, symlink } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { type Context, Fatal } from './command.js'
import type { RemoteCallbacks } from './library.js'

/** Those that ssh tries where nothing else is said, in its order. */
const KEYS = ['id_rsa', 'id_ecdsa', 'id_ed25519']

type Credentials = Pick<RemoteCallbacks, 'credentials'>

/** How a repository is read: over HTTPS with its token, where it has one, over SSH with the account's keys. @throws Fatal */
export async function credentialsFor(context: Context, url: string, isSsh: boolean): Promise<Credentials> {
  if (isSsh) return accountKeys(context)
  if (context.tokenFile === null) return {}
  const [host, username = '', token = ''] = (await readFile(context.tokenFile, 'utf8')).split('\n')
  if (new RegExp('^https://([^/]+)/').exec(url)?.[1] !== host) return {}
  let isTried = false
  return {
    credentials: () => {
      if (isTried) return Promise.resolve(new Error('unexpected authentication failure'))
      isTried = true
      return context.nodegit.Credential.userpassPlaintextNew(username, token)
    },
  }
}

/** One after another, as with the git binary. Hosts are known by that account's `known_hosts`. */
function accountKeys({ nodegit, sshCommand }: Context): Credentials {
  if (/IdentityFile=/.test(sshCommand)) {
    throw new Fatal('GIT_BACKEND=nodegit has no deploy keys: use a token over HTTPS, or GIT_BACKEND=git')
  }
  const { USERNAME } = nodegit.Credential.TYPE
  const folder = join(userInfo().homedir, '.ssh')
  const keys = KEYS.map((name) => join(folder, name)).filter((path) => existsSync(path))
  return {
    credentials: (_url, username, types) => {
      if ((types & USERNAME) !== 0) return nodegit.Credential.usernameNew(username)
      const key = keys.shift()
      // An error as a value: nodegit leaves a rejection unhandled, and takes a number for a credential.
      if (key === undefined) return Promise.resolve(new Error('no key is accepted'))
      return nodegit.Credential.sshKeyNew(username, `${key}.pub`, key, '')
    },
  }
}

/**
 * libgit2 looks for known hosts in the home folder, which is another one here so that nobody's configuration applies: the
 * account's are linked into it.
 */
export async function linkKnownHosts(): Promise<void> {
  const linked = symlink(join(userInfo().homedir, '.ssh'), join(homedir(), '.ssh'))
  await linked.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}
