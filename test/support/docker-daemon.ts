import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BASE_IMAGE } from './repository.js'
import { until } from './server.js'

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`
const CONTAINERD_PID = 'exec/containerd/containerd.pid'

/** Why no daemon of a test's own can be started here; false: one can. For the option `skip` of a test. */
export function cannotStartDaemon(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'needs Linux and root: starts a dockerd'
  if (spawnSync('ip', ['-Version']).error)
    return 'needs the program ip (iproute2): gives a dockerd its own network'
  const mayMount = spawnSync('unshare', ['--mount', '--net', 'true']).status === 0
  if (!mayMount) return 'needs the right to mount and to make networks: starts a dockerd'
  return spawnSync('dockerd', ['--version'], { env: { PATH } }).error ? 'needs the program dockerd' : false
}

/**
 * A Docker engine of the test's own, which can be killed: nobody else's containers are on it. It has a folder and a
 * network namespace of its own: in the machine's, a dockerd that starts again after it was killed removes `docker0`,
 * whatever bridge it was told to use, and with it the network of the machine's own engine.
 */
export class DockerDaemon implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'lsd-')) // short: a socket's path has at most 107 characters
  readonly host = `unix://${join(this.#folder, 'docker.sock')}`
  readonly #namespace = `lsd${randomBytes(4).toString('hex')}`
  readonly #net = `10.${randomInt(100, 250)}`
  #child: ChildProcess | null = null

  private constructor(private readonly options: readonly string[]) {}

  /** Starts one that has the tests' base image and nothing else. */
  static async start(options: readonly string[] = []): Promise<DockerDaemon> {
    const daemon = new DockerDaemon(options)
    try {
      daemon.#createNamespace()
      await daemon.up()
      const image = execFileSync('docker', ['save', BASE_IMAGE], { maxBuffer: 64 * 1024 * 1024 })
      execFileSync('docker', ['-H', daemon.host, 'load'], {
        input: image,
        stdio: ['pipe', 'ignore', 'inherit'],
      })
      return daemon
    } catch (error) {
      await daemon[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The docker command line at this engine. */
  docker(...args: string[]): string {
    return execFileSync('docker', ['-H', this.host, ...args], { encoding: 'utf8' }).trim()
  }

  async up(): Promise<void> {
    const at = (name: string) => join(this.#folder, name)
    // What a killed one leaves. A process that nobody reaps, or another with its id, would count as alive.
    for (const name of ['pid', CONTAINERD_PID]) rmSync(at(name), { force: true })
    writeFileSync(at('daemon.json'), '{}')
    const places = { 'config-file': 'daemon.json', 'data-root': 'data', 'exec-root': 'exec', pidfile: 'pid' }
    const pool = `--default-address-pool=base=${this.#net}.0.0/17,size=24`
    const child = spawn(
      'nsenter',
      [
        ...[`--net=/run/netns/${this.#namespace}`, 'dockerd', `--host=${this.host}`, pool],
        ...Object.entries(places).map(([option, name]) => `--${option}=${at(name)}`),
        ...['--iptables=false', '--ip6tables=false', '--ip-masq=false'],
        ...this.options,
      ],
      { env: { PATH, TMPDIR: tmpdir() }, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const log = createWriteStream(at('log'), { flags: 'a' })
    for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false })
    this.#child = child
    await until(() => {
      if (child.exitCode !== null) throw new Error(`dockerd ended: ${this.#lastLines()}`)
      return spawnSync('docker', ['-H', this.host, 'version'], { stdio: 'ignore' }).status === 0
    })
  }

  /** Its containers run on, without anybody who looks after them. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!this.#child) await this.up() // only a running one can end the containers
      const containers = this.docker('ps', '-aq').split('\n').filter(Boolean)
      if (containers.length > 0) this.docker('rm', '-f', ...containers)
      this.docker('network', 'prune', '-f')
    } finally {
      await this.kill('SIGTERM')
      spawnSync('ip', ['netns', 'delete', this.#namespace])
      for (const path of this.#mounts()) spawnSync('umount', ['-l', path])
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  /** A pair of interfaces joins it to the machine, which so reaches the containers. Both go with the namespace. */
  #createNamespace(): void {
    const name = this.#namespace
    const ends = { here: `${this.#net}.255.1`, there: `${this.#net}.255.2` }
    const ip = (command: string) => execFileSync('ip', command.split(' '))
    ip(`netns add ${name}`)
    ip(`link add ${name} type veth peer name eth0 netns ${name}`)
    ip(`address add ${ends.here}/30 dev ${name}`)
    ip(`link set ${name} up`)
    ip(`-netns ${name} address add ${ends.there}/30 dev eth0`)
    ip(`-netns ${name} link set eth0 up`)
    ip(`-netns ${name} link set lo up`)
    ip(`route add ${this.#net}.0.0/17 via ${ends.there}`)
  }

  #mounts(): string[] {
    const paths = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
    return paths.filter((path) => path.startsWith(`${this.#folder}/`)).reverse()
  }

  #lastLines(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8').split('\n').slice(-10).join('\n')
  }
}
