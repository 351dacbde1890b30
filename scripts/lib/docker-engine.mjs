import { spawn, spawnSync } from 'node:child_process'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasProgram, runQuietly, say } from './run.mjs'

const WAIT_MS = 60_000
const ANSWER_MS = 3_000
const LOG_FILE = join(tmpdir(), 'longshore-dockerd.log')
const BY_HAND =
  'Install and start one (https://docs.docker.com/engine/install/), or set DOCKER_HOST, and try again.'

/**
 * A Docker engine that can be used; gives its version. Where the usual socket has none: as root on a Debian-like system
 * one is installed and started, after a question on a terminal; `--yes` or CI=true do not ask. From then on DOCKER_HOST
 * names it, for this process and what it starts. Needs the build of the server, which finds its engine by the same code.
 *
 * @throws Error that says what to do
 */
export async function ensureDockerEngine() {
  const found = await lookForEngine()
  for (const warning of found.warnings) say(`  ${warning}`)
  if (found.error === null) return use(found)
  const { error, host, from } = found
  if (error.problem !== 'AWAY' || found.isNamed) throw new Error(`${error.message}\n(${host}: ${from})`)
  say(`  ${error.message}.`)
  if (process.platform !== 'linux' || process.getuid() !== 0) throw new Error(BY_HAND)
  if (!hasProgram('dockerd')) await install()
  return start()
}

/** Where it is, with its version or what is wrong with it. */
async function lookForEngine() {
  const { findEngine } = await import('../../dist/src/engine/docker/find-engine.js')
  const { checkEngine } = await import('../../dist/src/engine/docker/check-engine.js')
  const { withTimeout } = await import('../../dist/src/engine/docker/calls.js')
  const location = findEngine(process.env)
  try {
    const builder = process.env.BUILDER?.trim().toLowerCase()
    const version = await withTimeout((signal) => checkEngine(location.host, builder, signal), ANSWER_MS)
    return { ...location, version, error: null }
  } catch (error) {
    return { ...location, version: null, error }
  }
}

function use({ host, version }) {
  process.env.DOCKER_HOST = host
  return version
}

async function install() {
  if (!hasProgram('apt-get')) throw new Error(BY_HAND)
  if (!(await agreed('Install Docker from the system’s packages (docker.io) and start it?')))
    throw new Error(BY_HAND)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await runQuietly('apt-get update', 'apt-get', ['update'], { env })
  const packages = ['docker.io', 'iptables']
  await runQuietly('apt-get install', 'apt-get', ['install', '-y', '--no-install-recommends', ...packages], {
    env,
  })
}

async function agreed(question) {
  if (process.argv.includes('--yes') || process.env.CI === 'true') return true
  if (!process.stdin.isTTY) throw new Error(`${BY_HAND} Or let Longshore do it: add -- --yes`)
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`  ${question} [Y/n] `)
  terminal.close()
  return !/^n/i.test(answer.trim())
}

async function start() {
  if (existsSync('/run/systemd/system')) spawnSync('systemctl', ['start', 'docker'])
  else {
    const log = openSync(LOG_FILE, 'a')
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
    // It outlives us: the apps that it runs go on serving.
    spawn('dockerd', [], { detached: true, stdio: ['ignore', log, log], env })
      .on('error', () => undefined)
      .unref()
  }
  const until = Date.now() + WAIT_MS
  for (let second = 0; Date.now() < until; second++) {
    const found = await lookForEngine()
    if (found.error === null) {
      say(`  Docker engine ${found.version} started.`)
      return use(found)
    }
    if (second % 5 === 4) say(`  waiting for the Docker engine: ${second + 1} s`)
    await sleep(1_000)
  }
  throw new Error(`the Docker engine did not start within ${WAIT_MS / 1000} s:\n${lastLines(LOG_FILE)}`)
}

function lastLines(path) {
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-20).join('\n') : ''
}
