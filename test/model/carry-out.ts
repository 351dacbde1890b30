import { CommandError } from '../../src/engine/command-error.js'
import type { FakeContainer } from '../support/fake-docker/fake-docker.js'
import { type App, type Held, type Place, PLACES, type Process, type Step } from './steps.js'
import type { ModelApp, World } from './world.js'

/** Makes it happen. Resolves when it has begun; what it set off may still go on. */
export async function carryOut(step: Step, world: World): Promise<void> {
  switch (step.do) {
    case 'together':
      await Promise.all(step.steps.map((one) => carryOut(one, world)))
      return
    case 'in turn':
      for (const one of step.steps) {
        await carryOut(one, world)
        await world.quiet()
      }
      return
    case 'deploy':
    case 'cancel':
    case 'stop':
    case 'start':
    case 'restart stage':
    case 'roll back':
    case 'delete':
      return command(step, world)
    case 'claim':
    case 'heartbeat':
    case 'rescue':
    case 'reconcile':
    case 'watch':
    case 'clean':
      return act(step, world)
    case 'crash':
    case 'quit':
    case 'start process':
    case 'stall':
    case 'resume':
      return changeProcess(step, world)
    case 'leases end':
    case 'waits end':
    case 'watches end':
      return letTimePass(step.do, world)
    case 'hold':
      return hold(step, world)
    case 'let go':
    case 'let fail':
    case 'open':
      return turnGate(step, world)
    case 'fault':
    case 'Docker away':
    case 'Docker back':
    case 'reboot':
    case 'container':
      return strike(step, world)
  }
}

export async function letTimePass(
  what: 'leases end' | 'waits end' | 'watches end',
  { database }: World,
): Promise<void> {
  const { column, those } = {
    'leases end': { column: 'lease_until', those: 'lease_until IS NOT NULL' },
    'waits end': { column: 'next_run_at', those: `status = 'PENDING'` },
    'watches end': { column: 'watch_until', those: 'watch_until IS NOT NULL' },
  }[what]
  // One by one: a claim locks the newest first and then older ones, which together would wait for each other.
  const rows = await database.query<{ id: string }[]>(`SELECT id FROM deployment WHERE ${those}`)
  const sql = `UPDATE deployment SET ${column} = now() - interval '1 second' WHERE id = $1 AND ${those}`
  for (const { id } of rows) await database.query(sql, [id])
}

/** What a user asks for. Refusals are answers. */
async function command(step: Extract<Step, App>, world: World): Promise<void> {
  const target = world.apps[step.app]
  if (!target) return
  try {
    await ask(step, target, world)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
  }
}

async function ask(
  step: Extract<Step, App>,
  { id, stageId, repoUrl }: ModelApp,
  world: World,
): Promise<void> {
  const { apps, deployments, stages, releases } = world.commands
  switch (step.do) {
    case 'deploy':
      world.surroundings.git.commit(repoUrl, step.commit)
      return void (await deployments.deploy(id, {}))
    case 'cancel': {
      const sql = `SELECT id FROM deployment WHERE app_id = $1 AND status <> 'SUPERSEDED' ORDER BY generation DESC LIMIT 1`
      const [newest] = await world.database.query<{ id: string }[]>(sql, [id])
      if (newest) await deployments.cancel(newest.id)
      return
    }
    case 'stop':
      return void (await stages.stop(stageId))
    case 'start': {
      const { currentDeploymentId } = await stages.start(stageId)
      if (currentDeploymentId) world.invariants.disturbed.add(currentDeploymentId) // until a keeper sees to it
      return
    }
    case 'restart stage':
      return void (await stages.restart(stageId))
    case 'roll back':
      return void (await releases.rollback(id))
    case 'delete':
      return world.inBackground(step.do, apps.delete(id)) // it waits until a keeper has seen to it
  }
}

async function act(step: Extract<Step, Process>, world: World): Promise<void> {
  const process = world.processes[step.process]
  if (!process || process.state === 'dead' || process.state === 'leaving') return
  const begin = (work: Promise<unknown>) => world.inBackground(step.do, process.doing(work))
  if (step.do === 'claim') process.engine.lookForWork()
  else if (step.do === 'heartbeat') begin(process.leases.renew())
  else if (step.do === 'rescue') begin(process.recover())
  else if (step.do === 'reconcile')
    begin(process.reconciler.reconcile().then(() => process.reconciler.settle()))
  else if (step.do === 'watch') begin(process.watcher.runOnce().then(() => process.watcher.settle()))
  else if (step.do === 'clean') begin(process.clean())
  return Promise.resolve()
}

async function changeProcess(step: Extract<Step, Process>, world: World): Promise<void> {
  const process = world.processes[step.process]
  if (step.do === 'start process') return world.restart(step.process)
  if (step.do === 'crash' && process?.state !== 'dead')
    world.inBackground(step.do, process?.crash() ?? Promise.resolve())
  if (step.do === 'quit') world.inBackground(step.do, process?.[Symbol.asyncDispose]() ?? Promise.resolve())
  if (step.do === 'stall') process?.stall()
  if (step.do === 'resume') process?.resume()
}

function hold({ at }: Place, { gates, surroundings }: World): void {
  const { docker, git } = surroundings
  if (!gates.has(at)) gates.set(at, at === 'fetch' ? git.hold() : docker.hold(PLACES[at]?.path ?? /$^/))
}

function turnGate(step: Extract<Step, Held>, { gates, surroundings }: World): void {
  const held = [...gates].at(step.nth % Math.max(gates.size, 1))
  if (!held) return
  const [at, gate] = held
  if (step.do === 'let go') gate.next()
  if (step.do === 'let fail') gate.next('fail')
  if (step.do !== 'open') return
  gates.delete(at)
  if (at === 'fetch') surroundings.git.heal()
  else gate.release()
}

async function strike(step: Step, world: World): Promise<void> {
  const { docker, instanceId } = world.surroundings
  const ours = [...docker.containers.values()].filter(
    ({ labels }) => labels['longshore.instance'] === instanceId,
  )
  const disturb = (containers: readonly FakeContainer[]) => {
    for (const { labels } of containers) world.invariants.disturbed.add(labels['longshore.deployment'] ?? '')
  }
  if (step.do === 'fault')
    docker.fault({ ...PLACES[step.at], path: PLACES[step.at]?.path ?? /$^/, kind: step.kind })
  if (step.do === 'Docker away') await docker.down()
  if (step.do === 'Docker back') await docker.up()
  if (step.do === 'reboot') {
    disturb(ours)
    await docker.reboot()
  }
  if (step.do !== 'container') return
  const container = ours[step.number % Math.max(ours.length, 1)]
  if (!container) return
  disturb([container])
  if (step.how === 'crashes') await docker.crash(container.id)
  else if (step.how === 'is stopped') await docker.stop(container.id)
  else await docker.remove(container.id)
}
