import { say } from './run.mjs'
import { aptInstall, hasProgram } from './system-packages.mjs'

/** The tests that fetch from servers. */
export const GIT_SERVER_TESTS = [
  'e2e/lfs',
  'e2e/repository-canaries',
  'integration/git-failures',
  'integration/git-transfers',
  'integration/lfs',
  'integration/private-repositories',
].map((name) => `${name}.test.js`)
/** Debian's packages for what they run: nginx before `git http-backend`, sshd, and git-lfs, which pushes. */
const PACKAGES = ['nginx-light', 'openssh-server', 'openssh-client', 'openssl', 'git-lfs']
const PROGRAMS = ['nginx', 'sshd', 'ssh', 'openssl', 'git-lfs']

/**
 * Installs the servers that some tests fetch from, where that disturbs nobody: in CI, as root, on a Debian-like system. The
 * packages start services, which a developer's machine is to be spared. Without them these tests are skipped, and say why.
 */
export async function ensureGitServers() {
  const missing = PROGRAMS.filter((name) => !hasProgram(name))
  if (missing.length === 0) return
  if (process.env.CI !== 'true' || process.getuid?.() !== 0 || !hasProgram('apt-get')) {
    say(`  ${missing.join(', ')} missing: tests that fetch from them are skipped (${PACKAGES.join(' ')})`)
    return
  }
  await aptInstall(PACKAGES)
}
