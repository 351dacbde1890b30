import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DeployError } from '../errors.js'

/** What all builds at once may take. */
export interface BuildLimits {
  readonly memoryBytes: number
  /** Null: as many as are idle. */
  readonly cpus: number | null
}

/** A quarter of a container's: apps come first. */
const SHARES = 256
const PERIOD_US = 100_000
const KILLED = 137

/** Parameters of a build with the classic builder, one of `atOnce`. It honours them for each container of a step. */
export function classicParameters(
  { memoryBytes, cpus }: BuildLimits,
  atOnce: number,
): Record<string, number> {
  const memory = Math.floor(memoryBytes / atOnce)
  const parameters = { memory, memswap: memory, cpushares: SHARES }
  if (cpus === null) return parameters
  return { ...parameters, cpuperiod: PERIOD_US, cpuquota: Math.floor((cpus / atOnce) * PERIOD_US) }
}

/**
 * The cgroup below which an engine on this machine runs the steps of all builds with BuildKit, which takes no limits
 * of its own (measured on 20.10; its source in 28 has none either). Limits on it bound all such builds together.
 */
export class BuildkitCgroup {
  /** @param path below the root of the cgroups, as `docker/buildkit` */
  constructor(
    private readonly path: string,
    private readonly root = '/sys/fs/cgroup',
  ) {}

  /** False: it is not there, or this process may not write it. */
  async limit(limits: BuildLimits): Promise<boolean> {
    try {
      if (await this.#isUnified()) await this.#limitUnified(limits)
      else await this.#limitByController(limits)
      return true
    } catch {
      return false
    }
  }

  /** How many processes of builds were killed for want of memory so far; 0 when nobody can tell. */
  async kills(): Promise<number> {
    const file = (await this.#isUnified())
      ? join(this.root, this.path, 'memory.events')
      : join(this.root, 'memory', this.path, 'memory.oom_control')
    const text = await readFile(file, 'utf8').catch(() => '')
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
  }

  #isUnified(): Promise<boolean> {
    return access(join(this.root, 'cgroup.controllers')).then(
      () => true,
      () => false,
    )
  }

  /** Made where the engine's own cgroup is, which is there from its first container on. */
  async #folder(...parts: string[]): Promise<string> {
    const folder = join(this.root, ...parts, this.path)
    await access(dirname(folder))
    await mkdir(folder, { recursive: true })
    return folder
  }

  async #limitUnified({ memoryBytes, cpus }: BuildLimits): Promise<void> {
    const folder = await this.#folder()
    const quota = cpus === null ? 'max' : String(Math.floor(cpus * PERIOD_US))
    await writeFile(join(folder, 'memory.max'), String(memoryBytes))
    await writeFile(join(folder, 'memory.swap.max'), '0').catch(() => undefined) // none without swap
    await writeFile(join(folder, 'cpu.weight'), '25')
    await writeFile(join(folder, 'cpu.max'), `${quota} ${PERIOD_US}`)
  }

  async #limitByController({ memoryBytes, cpus }: BuildLimits): Promise<void> {
    const cpu = await this.#folder('cpu')
    const memory = await this.#folder('memory')
    const set = (name: string) => writeFile(join(memory, name), String(memoryBytes))
    const withSwap = () => set('memory.memsw.limit_in_bytes').catch(() => undefined) // none without swap
    // Memory with swap is never below memory: what is raised is raised there first, what is lowered last.
    await set('memory.limit_in_bytes').catch(async () => {
      await withSwap()
      await set('memory.limit_in_bytes')
    })
    await withSwap()
    await writeFile(join(cpu, 'cpu.shares'), String(SHARES))
    await writeFile(join(cpu, 'cpu.cfs_period_us'), String(PERIOD_US))
    await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(cpus === null ? -1 : Math.floor(cpus * PERIOD_US)))
  }
}

export interface LimitOptions {
  /** Null: three quarters of what the engine's machine has. */
  readonly buildMemoryBytes: number | null
  readonly buildCpus: number | null
  readonly buildCgroup: string
  /** Builds at once. */
  readonly concurrency: number
  /** Whether the engine is on this machine, as far as anybody can say. */
  readonly isLocal: boolean
  /** Called once, where builds with BuildKit have no limits. */
  readonly onUnlimited: () => void
}

/** A build within its limits. */
export interface LimitedBuild {
  /** For the engine's API. */
  readonly parameters: Readonly<Record<string, number>>
  /** The error of the build, in other words when it was killed for want of memory. */
  explain(error: unknown): Promise<unknown>
}

/** Keeps builds from taking all of the machine. */
export class BuildLimiter {
  readonly #cgroup: BuildkitCgroup
  #hasReported = false

  /** @param engineMemory bytes of the engine's machine */
  constructor(
    private readonly options: LimitOptions,
    private readonly engineMemory: () => Promise<number>,
  ) {
    this.#cgroup = new BuildkitCgroup(options.buildCgroup)
  }

  async begin(isBuildkit: boolean): Promise<LimitedBuild> {
    const { buildMemoryBytes, buildCpus: cpus, concurrency } = this.options
    const memoryBytes = buildMemoryBytes ?? Math.floor((await this.engineMemory()) * 0.75)
    const limits = { memoryBytes, cpus }
    if (!isBuildkit) {
      const parameters = classicParameters(limits, concurrency)
      const explain = (error: unknown) =>
        Promise.resolve(outOfMemory(error, memoryBytes / concurrency, false))
      return { parameters, explain }
    }
    const isLimited = this.options.isLocal && (await this.#cgroup.limit(limits))
    if (!isLimited) this.#reportUnlimited()
    const before = await this.#cgroup.kills()
    return {
      parameters: {},
      explain: async (error) =>
        outOfMemory(error, isLimited ? memoryBytes : null, (await this.#cgroup.kills()) > before),
    }
  }

  #reportUnlimited(): void {
    if (this.#hasReported) return
    this.#hasReported = true
    this.options.onUnlimited()
  }
}

/**
 * The error of a build that failed, in other words when memory was wanting: a step that was killed, or one that says
 * that a program of its was while the kernel counted it.
 */
export function outOfMemory(error: unknown, memoryBytes: number | null, someKilled: boolean): unknown {
  if (!(error instanceof DeployError) || error.code !== 'BUILD_FAILED') return error
  const saysSo = someKilled && error.lastLines.some((line) => /\bkilled\b/i.test(line))
  if (error.exitCode !== KILLED && !saysSo) return error
  const bound =
    memoryBytes === null ? '' : ` Builds have ${Math.floor(memoryBytes / 1024 ** 2)} MiB (BUILD_MEMORY_MIB).`
  const message = `a build step was killed, most likely for lack of memory.${bound} Reduce its memory use, or raise the limit`
  const { exitCode, lastLines } = error
  return new DeployError('OUT_OF_MEMORY', message, { exitCode, lastLines, cause: error })
}
