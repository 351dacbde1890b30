import { existsSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Context } from './command.js'
import type { RemoteCallbacks } from './library.js'

/** Those that ssh tries where nothing else is said, in its order. */
const KEYS = ['id_rsa', 'id_ecdsa', 'id_ed25519']

/**
 * What SSH asks for: the keys of the account that runs this, one after another, as with the git binary. Hosts are known by
 * that account's `known_hosts`. HTTPS is read as anybody.
 */
export function credentialsFor({ nodegit }: Context, isSsh: boolean): Pick<RemoteCallbacks, 'credentials'> {
  if (!isSsh) return {}
  const { USERNAME } = nodegit.Credential.TYPE
  const folder = join(userInfo().homedir, '.ssh')
  const keys = KEYS.map((name) => join(folder, name)).filter(existsSync)
  return {
    credentials: (_url, username, types) => {
      if ((types & USERNAME) !== 0) return nodegit.Credential.usernameNew(username)
      const key = keys.shift()
      if (key === undefined) return Promise.reject(new Error('authenticate SSH session: no key is accepted'))
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
