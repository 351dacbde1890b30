import { Arg, ID, Resolver, Root, Subscription } from 'type-graphql'
import { type Change, followChanges } from '../engine/change-feed.js'
import { CommandError } from '../engine/command-error.js'
import { ChangeType } from '../schema/change.js'
import { answering } from './log-resolver.js'

@Resolver()
export class ChangeResolver {
  @Subscription(() => ChangeType, {
    subscribe: answering(async ({ args, context }) => {
      const { after = null, appId = null } = args as { after?: string | null; appId?: string | null }
      const { queries, wakeups } = context
      if (appId !== null && !(await queries.app({ id: appId }))) {
        throw new CommandError('NOT_FOUND', `there is no app ${appId}`, 'appId')
      }
      return followChanges(queries.database, wakeups, { after, appId })
    }),
    description:
      'Everything that changes: apps, stages with their variables and domains, deployments. Each change exactly once and in order. Without `after`: from now on, after one RESET that carries the cursor of now. With the last cursor seen: all that was missed, then live. A cursor older than 24 hours gets RESET: refetch. The same promise from any API process.',
  })
  changes(
    @Root() change: Change,
    @Arg('after', () => String, { nullable: true, description: 'The last cursor that was seen.' })
    _after: string | null,
    @Arg('appId', () => ID, { nullable: true, description: 'Only changes of this app. Default: of all.' })
    _appId: string | null,
  ): ChangeType {
    return change
  }
}
