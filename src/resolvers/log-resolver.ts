import { Arg, FieldResolver, ID, Int, Resolver, Root, Subscription } from 'type-graphql'
import { DeploymentChanges } from '../engine/changes.js'
import { badInput, CommandError } from '../engine/command-error.js'
import { type LogEntry, LogReader } from '../engine/logs/reader.js'
import { encodePlaces } from '../engine/runtime-logs/cursor.js'
import { openRuntimeLog, type RuntimeLogStart } from '../engine/runtime-logs/reader.js'
import type { RuntimeLogEntry } from '../engine/runtime-logs/store.js'
import type { Deployment } from '../entities/deployment.js'
import { DeploymentType } from '../schema/deployment.js'
import { LogEventType, RuntimeLogEventType } from '../schema/log.js'
import { refuseNul, toGraphQLError } from './errors.js'
import type { RequestContext } from './request-context.js'

interface Data {
  readonly args: Readonly<Record<string, unknown>>
  readonly context: RequestContext
}

/** Everything that is followed live. Each viewer pulls: nothing is read for it before it has taken what it got. */
@Resolver()
export class LogResolver {
  @Subscription(() => LogEventType, {
    subscribe: answering(async ({ args, context }) => {
      const { deploymentId, after } = args as { deploymentId: string; after: number }
      checkAfter(after)
      await mustExist(context, deploymentId, 'deploymentId')
      return new LogReader(context.hub, deploymentId, after)
    }),
    description:
      'Every chunk after `after`, stored ones first, then live ones, each exactly once and in order, then one event with `end`, then completion. Reconnect with the last seq seen. The same promise from any API process.',
  })
  deploymentLogs(
    @Root() entry: LogEntry,
    @Arg('deploymentId', () => ID, { description: 'Id of the deployment.' }) _deploymentId: string,
    @Arg('after', () => Int, { defaultValue: 0, description: 'The last `seq` that is known.' })
    _after: number,
  ): LogEventType {
    return entry
  }

  @Subscription(() => DeploymentType, {
    subscribe: answering(async ({ args, context }) => {
      const deploymentId = args.id as string
      await mustExist(context, deploymentId, 'id')
      return new DeploymentChanges(context.queries.database, context.wakeups, { deploymentId }).start()
    }),
    description: 'The deployment at once, then again after each change, until it cannot change any more.',
  })
  deploymentUpdated(
    @Root() deployment: Deployment,
    @Arg('id', () => ID, { description: 'Id of the deployment.' }) _id: string,
  ) {
    return deployment
  }

  @Subscription(() => DeploymentType, {
    subscribe: answering(async ({ args, context }) => {
      const appId = args.appId as string
      if (!(await context.queries.app({ id: appId }))) {
        throw new CommandError('NOT_FOUND', `there is no app ${appId}`, 'appId')
      }
      return new DeploymentChanges(context.queries.database, context.wakeups, { appId }).start()
    }),
    description:
      'Every deployment of the app that can still change at once, oldest first, then every change of every deployment of it.',
  })
  appUpdated(
    @Root() deployment: Deployment,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) _appId: string,
  ) {
    return deployment
  }

  @Subscription(() => RuntimeLogEventType, {
    subscribe: answering(({ args, context }) => {
      const { stageId, ...start } = args as unknown as { stageId: string } & RuntimeLogStart
      const source = { database: context.queries.database, wakeups: context.wakeups }
      return openRuntimeLog(source, stageId, start)
    }),
    description:
      "What the stage's running container writes, the last `tail` lines first; follows the stage across deployments.",
  })
  runtimeLogs(
    @Root() entry: RuntimeLogEntry | CommandError,
    @Arg('stageId', () => ID, { description: 'Id of the stage.' }) _stageId: string,
    @Arg('tail', () => Int, {
      defaultValue: 100,
      description: 'Lines that were written before and are shown first: 0 to 10,000.',
    })
    _tail: number,
    @Arg('after', () => String, {
      nullable: true,
      description: 'The last cursor that was seen: goes on behind it, whatever `tail` says.',
    })
    _after: string | null,
  ): RuntimeLogEventType {
    // An event and not thrown by the iterator: so its error is translated and answered as that of any resolver.
    if (entry instanceof CommandError) throw entry
    return entry
  }
}

/** Encoded where it is selected only: it names each stream of each container. */
@Resolver(() => RuntimeLogEventType)
export class RuntimeLogEventResolver {
  @FieldResolver(() => String, {
    description:
      'Pass the last one seen as `after` to resume: no line that is still kept is missed or repeated.',
  })
  cursor(@Root() { places }: RuntimeLogEntry): string {
    return encodePlaces(places)
  }
}

/** The cursor of a log: the last seq that the reader has. */
export function checkAfter(after: number): void {
  if (after < 0) throw badInput('after', 'must be 0 or the last seq that was seen')
}

async function mustExist({ queries }: RequestContext, deploymentId: string, field: string): Promise<void> {
  if (await queries.deployment(deploymentId)) return
  throw new CommandError('NOT_FOUND', `there is no deployment ${deploymentId}`, field)
}

/** The middleware around resolvers does not see `subscribe`. */
export function answering(subscribe: (data: Data) => Promise<AsyncIterable<unknown>>) {
  return async (data: Data): Promise<AsyncIterable<unknown>> => {
    try {
      refuseNul(data.args)
      return await subscribe(data)
    } catch (error) {
      throw error instanceof CommandError ? toGraphQLError(error) : error
    }
  }
}
