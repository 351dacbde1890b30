import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Who commits; and nothing is tidied, which would be a process more for each commit. */
const OPTIONS = [
  'user.name=Test',
  'user.email=test@longshore.invalid',
  'gc.auto=0',
  'maintenance.auto=false',
].flatMap((option) => ['-c', option])

/** A real Git repository in a temporary folder, made with the git binary. */
export class TestRepository implements Disposable {
  readonly url: string

  constructor(
    files: Readonly<Record<string, string>>,
    readonly folder = mkdtempSync(join(tmpdir(), 'longshore-repo-')),
  ) {
    mkdirSync(folder, { recursive: true })
    this.url = `file://${folder}`
    this.git('init', '--quiet', '-b', 'main')
    this.commit(files)
  }

  /** Writes files and commits all; gives the commit's id. */
  commit(files: Readonly<Record<string, string>>, message = 'change'): string {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true })
      writeFileSync(join(this.folder, path), text)
    }
    this.git('add', '-A')
    this.git('commit', '--quiet', '--allow-empty', '-m', message)
    return this.#head()
  }

  link(path: string, target: string): void {
    symlinkSync(target, join(this.folder, path))
  }

  git(...args: string[]): string {
    return execFileSync('git', ['-C', this.folder, ...OPTIONS, ...args], { encoding: 'utf8' }).trim()
  }

  /** What was committed last. A commit leaves it in a file; to ask Git takes a process more for each commit. */
  #head(): string {
    const read = (name: string) => readFileSync(join(this.folder, '.git', name), 'utf8').trim()
    const head = read('HEAD')
    return head.startsWith('ref: ') ? read(head.slice('ref: '.length)) : head
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Made locally by `npm test`: busybox and nothing else, so that no registry is needed. */
export const BASE_IMAGE = 'longshore-test/busybox:local'

/** A web app whose page says `text`; `steps` run during its build. */
export function webApp(text: string, steps: readonly string[] = []): Record<string, string> {
  const runs = steps.map((step) => `RUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', step])}`)
  return {
    'www/index.html': text,
    Dockerfile: [
      `FROM ${BASE_IMAGE}`,
      ...runs,
      'COPY www /www',
      'EXPOSE 8080',
      'CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]',
      '',
    ].join('\n'),
  }
}

/** A build step that runs also when an earlier run of the tests left its layer in the cache. */
export function freshStep(command: string): string {
  return `: ${randomBytes(8).toString('hex')}; ${command}`
}

/** A build step that says "step one" and takes `seconds`. */
export function slowStep(seconds: number): string {
  return freshStep(`echo step one; sleep ${seconds}`)
}
