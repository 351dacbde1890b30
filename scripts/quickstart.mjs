import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchHost, LongshoreClient } from './lib/client.mjs'
import { ensureBuild, ensureDependencies, ROOT } from './lib/dependencies.mjs'
import { ensureDockerEngine } from './lib/docker-engine.mjs'
import { exampleRepository } from './lib/example-app.mjs'
import { ensureStaticImage } from './lib/images.mjs'
import { say, script } from './lib/run.mjs'

const USAGE = `npm run quickstart: starts Longshore and deploys examples/hello
  --once  stops the server after the page has answered
  --yes   installs a Docker engine without asking`
const START_MS = 60_000

await script({ usage: USAGE, options: { once: { type: 'boolean' } } }, async ({ once: stopsAfterwards }) => {
  const startedAt = Date.now()
  step(1, 'Packages')
  await ensureDependencies()
  step(2, 'Build')
  await ensureBuild()
  step(3, 'Docker engine')
  await ensureDockerEngine()
  await ensureStaticImage()
  step(4, 'Start')
  const settings = await chooseSettings()
  const server = startServer(settings)
  try {
    await untilReady(settings, server)
    step(5, 'Deploy examples/hello')
    await deployExample(settings, startedAt)
    if (stopsAfterwards) return
    say('\n  Longshore runs until Ctrl-C.')
    await once(server.child, 'exit')
  } finally {
    await server.stop()
    say('Longshore has stopped; the apps go on running in Docker. Start it again: npm start')
  }
})

function step(number, title) {
  say(`[${number}/5] ${title}`)
}

async function chooseSettings() {
  const env = { ...process.env, ALLOW_FILE_REPOS: process.env.ALLOW_FILE_REPOS ?? 'true' }
  env.DATA_DIR = resolve(ROOT, env.DATA_DIR || 'data')
  env.PORT ||= String(await freePort(8080))
  env.ROUTER_PORT ||= String(await freePort(8000))
  env.LOG_LEVEL ||= 'warn'
  return env
}

/** The usual port, or the next one that nobody listens on. */
async function freePort(usual) {
  for (let port = usual; port < usual + 100; port++) {
    if (await isFree(port)) {
      if (port !== usual) say(`  port ${usual} is taken: using ${port}`)
      return port
    }
  }
  throw new Error(`no free port from ${usual} on: set PORT and ROUTER_PORT`)
}

function isFree(port) {
  return new Promise((done) => {
    const probe = createServer().once('error', () => done(false))
    probe.listen(port, () => probe.close(() => done(true)))
  })
}

function startServer(env) {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/start.mjs')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (bytes) => (said += bytes.toString('utf8')))
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
  // Ctrl-C reaches the child as well; it is waited for here, so that its last words come before the prompt.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill('SIGTERM'))
  return { child, stop, said: () => said }
}

async function untilReady(env, server) {
  const until = Date.now() + START_MS
  while (Date.now() < until) {
    if (server.child.exitCode !== null) throw new Error('the server ended before it was ready: see above')
    const answer = await fetch(`http://127.0.0.1:${env.PORT}/ready`).catch(() => null)
    if (answer?.status === 200) return
    await sleep(100)
  }
  throw new Error(`the server was not ready within ${START_MS / 1000} s`)
}

async function deployExample(env, startedAt) {
  const token = env.ADMIN_TOKEN || readToken(env.DATA_DIR)
  const client = new LongshoreClient(env.PORT, token)
  const repoUrl = exampleRepository(join(env.DATA_DIR, 'quickstart'))
  const deploymentId = await client.deploy('hello', repoUrl)
  const status = await client.followLog(deploymentId, (text) =>
    process.stdout.write(text.replace(/^(?=.)/gm, '  │ ')),
  )
  if (status !== 'RUNNING') throw new Error(`the deployment ended ${status}: its log above says why`)
  const host = `hello.${env.BASE_DOMAIN || 'localhost'}`
  const page = await fetchHost(env.ROUTER_PORT, host)
  const title = /<title>(.*?)<\/title>/.exec(page.body)?.[1]
  if (page.status !== 200) throw new Error(`${host} answered ${page.status}`)
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
  say(`
  Your app answers: 200 "${title}" (${seconds} s from the start)

    App       http://${host}:${env.ROUTER_PORT}
    GraphiQL  http://127.0.0.1:${env.PORT}/graphql
    Token     ${token}`)
}

function readToken(dataDir) {
  const path = join(dataDir, 'admin-token')
  if (!existsSync(path)) throw new Error(`${path} is missing`)
  return readFileSync(path, 'utf8').trim()
}
