import { readdirSync, readFileSync } from 'node:fs'

/** Looks all the time at the command lines and environments of everything that a process starts. Linux only. */
export class ChildWatch implements Disposable {
  readonly #seen = new Set<string>()
  readonly #environments = new Set<string>()
  readonly #timer: NodeJS.Timeout

  constructor(private readonly pid: number) {
    this.#timer = setInterval(() => this.#look(), 10)
  }

  /** Every command line that was seen, its arguments separated by spaces. */
  commandLines(): string[] {
    return [...this.#seen]
  }

  /** Every environment that was seen, its variables separated by line ends. */
  environments(): string[] {
    return [...this.#environments]
  }

  #look(): void {
    const parents = new Map<number, number>()
    for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      const parent = / \(.*\) \S (\d+)/.exec(` ${read(`/proc/${name}/stat`).replace(/^\d+/, '')}`)?.[1]
      if (parent !== undefined) parents.set(Number(name), Number(parent))
    }
    for (const pid of parents.keys()) {
      if (!this.#descends(pid, parents)) continue
      const line = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
      if (line !== '') this.#seen.add(line)
      this.#environments.add(read(`/proc/${pid}/environ`).replaceAll('\0', '\n'))
    }
  }

  #descends(pid: number, parents: ReadonlyMap<number, number>): boolean {
    for (let at = parents.get(pid); at !== undefined && at > 1; at = parents.get(at))
      if (at === this.pid) return true
    return false
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** Empty: it has ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
