import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { GitServers } from './git-servers.js'
import { TestRepository } from './repository.js'

/** A fetch that fails: what it is told by, and what is told of it. */
export interface Failure {
  /** The row of the table that it is told by. */
  readonly row: string
  readonly url: (servers: GitServers) => string | Promise<string>
  readonly code?: string
  readonly says: RegExp
  readonly isPassing?: boolean
  /** With another key of the account than the one that may log in. */
  readonly key?: string
}

const NOWHERE = { row: 'no repository', code: 'REPO_NOT_FOUND' }

/** By what is wrong; HTTPS where nothing else is said. */
export const FAILURES: Readonly<Record<string, Failure>> = {
  'absent, over HTTPS': {
    ...NOWHERE,
    url: (s) => s.httpsUrl('nowhere'),
    says: /: .*repository '.*' not found$/,
  },
  'absent, over SSH': {
    ...NOWHERE,
    url: (s) => s.sshUrl('nowhere'),
    says: /does not appear to be a git repository$/,
  },
  'private, over HTTPS': {
    ...NOWHERE,
    url: (s) => s.httpsUrl('private/repo'),
    says: /Authentication failed for/,
  },
  'closed to whoever asks (403)': {
    ...NOWHERE,
    url: (s) => s.httpsUrl('closed/repo'),
    says: /returned error: 403$/,
  },
  'a page for people': { ...NOWHERE, url: (s) => s.httpsUrl('page/repo'), says: /is this a git repository/ },
  'a page to sign in': {
    ...NOWHERE,
    url: (s) => s.httpsUrl('signin/repo'),
    says: /url base from redirection|git repository/,
  },
  'gone at a Gitea': {
    ...NOWHERE,
    url: (s) => s.sshUrl('gitea-gone'),
    says: /Gitea: Cannot find repository: you\/gone$/,
  },
  'private at a Gitea': {
    ...NOWHERE,
    url: (s) => s.sshUrl('gitea-closed'),
    says: /is not authorized to read you\/closed\.$/,
  },
  'gone at GitHub': {
    ...NOWHERE,
    url: (s) => s.sshUrl('github-gone'),
    says: /ERROR: Repository not found\.$/,
  },
  'gone at a GitLab': {
    ...NOWHERE,
    url: (s) => s.sshUrl('gitlab-gone'),
    says: /ERROR: The project you were looking for could not/,
  },
  'a key that is not known there': {
    row: 'refused key',
    code: 'REPO_NOT_FOUND',
    url: (s) => s.sshUrl('repo'),
    key: 'stranger',
    says: /Permission denied \(publickey\)\.\. .*add its public key as a deploy key/,
  },
  'a key with a passphrase': {
    row: 'refused key',
    code: 'REPO_NOT_FOUND',
    url: (s) => s.sshUrl('repo'),
    key: 'locked',
    says: /a key with a passphrase is not used$/,
  },
  'a key that others can read': {
    row: 'key readable by others',
    url: (s) => s.sshUrl('repo'),
    key: 'open',
    says: /a private key that others can read: chmod 600/,
  },
  'a host with another key than before': {
    row: 'changed host key',
    url: async (s) => {
      const port = await s.relayTo(s.ports.ssh)
      s.know(port, join(s.folder, 'other-host.pub'))
      return s.sshUrl('repo', port)
    },
    says: /another host key than the one that is known.*ssh-keygen -R/,
  },
  'a certificate that nobody knows': {
    row: 'untrusted certificate',
    url: (s) => s.httpsUrl('repo', s.ports.untrusted),
    says: /certificate is not trusted by this machine: .*certificate/,
  },
  'a certificate of another name': {
    row: 'untrusted certificate',
    url: (s) => `https://localhost:${s.ports.https}/repo`,
    says: /certificate is not trusted by this machine: .*certificate/,
  },
  'a server without TLS': {
    row: 'no TLS',
    url: (s) => s.httpsUrl('repo', s.ports.plain),
    says: /does not speak TLS/,
  },
  'a server that sends to http://': {
    row: 'plain HTTP',
    url: (s) => s.httpsUrl('moved/repo'),
    says: /redirects to a protocol that is not used, such as http:\/\/.*http. not supported|such as http:\/\/.*transport 'http' not allowed/,
  },
  'objects that are broken': {
    row: 'broken objects',
    url: (s) => {
      const repository = new TestRepository({ 'a.txt': 'one' }, join(s.root, 'broken'))
      const file = repository.git('rev-parse', 'HEAD:a.txt')
      rmSync(join(repository.folder, '.git/objects', file.slice(0, 2), file.slice(2)))
      return s.httpsUrl('broken')
    },
    says: /the repository has broken objects: /,
  },
  'ids of SHA-256': {
    row: 'SHA-256 ids',
    url: (s) => {
      const folder = join(s.root, 'sha256')
      const git = (...args: string[]) =>
        execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@x', ...args])
      git('init', '--quiet', '-b', 'main', '--object-format=sha256', folder)
      git('-C', folder, 'commit', '--quiet', '--allow-empty', '-m', 'x')
      return s.httpsUrl('sha256')
    },
    says: /is a SHA-256 repository, which Longshore does not support/,
  },
  'too many requests': {
    row: 'too many requests',
    url: (s) => s.httpsUrl('busy/repo'),
    says: /error: 429$/,
    isPassing: true,
  },
  'a server that is ill': {
    row: 'failing server',
    url: (s) => s.httpsUrl('ill/repo'),
    says: /error: 503$/,
    isPassing: true,
  },
  'a host without an address': {
    row: 'no host',
    url: () => 'https://nowhere.invalid/repo',
    says: /has no address: .*Could not resolve host: nowhere.invalid$/,
    isPassing: true,
  },
  'a host without an address, over SSH': {
    row: 'no host',
    url: () => 'ssh://git@nowhere.invalid/repo',
    says: /has no address: ssh: Could not resolve hostname nowhere.invalid/,
    isPassing: true,
  },
  'a port that nobody listens at': {
    row: 'no connection',
    url: (s) => s.httpsUrl('repo', 1),
    says: /no connection to the server: .*Failed to connect to 127\.0\.0\.1 port 1/,
    isPassing: true,
  },
  'a port that nobody listens at, over SSH': {
    row: 'no connection',
    url: (s) => s.sshUrl('repo', 1),
    says: /no connection to the server: ssh: connect to host 127\.0\.0\.1 port 1: Connection refused$/,
    isPassing: true,
  },
  'an end in the handshake': {
    row: 'broken connection',
    url: async (s) => s.httpsUrl('repo', await s.relayTo(1)),
    says: /ended in the middle: /,
    isPassing: true,
  },
  'an end in the handshake, over SSH': {
    row: 'broken connection',
    url: async (s) => s.sshUrl('repo', await s.relayTo(1)),
    says: /ended in the middle: kex_exchange_identification: /,
    isPassing: true,
  },
  'an end instead of an answer': {
    row: 'broken connection',
    url: (s) => s.httpsUrl('gone/repo'),
    says: /ended in the middle: /,
    isPassing: true,
  },
}
