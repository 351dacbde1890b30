import { Arg, Ctx, FieldResolver, ID, Mutation, Resolver, Root } from 'type-graphql'
import type { App } from '../entities/app.js'
import type { CommitStatusTarget } from '../entities/commit-status.js'
import { AppType } from '../schema/app.js'
import { CommitStatusTargetType } from '../schema/commit-status.js'
import { Forge } from '../schema/enums.js'
import type { RequestContext } from './request-context.js'

@Resolver(() => AppType)
export class CommitStatusResolver {
  @Mutation(() => AppType, {
    description:
      "Reports commit statuses to GitHub, GitLab or Gitea. The forge's answers do not affect deployments.",
  })
  setCommitStatus(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('forge', () => Forge, { description: 'The kind of forge: GITHUB, GITLAB or GITEA.' }) forge: Forge,
    @Arg('token', () => String, { description: 'A token that can write commit statuses. Stored encrypted.' })
    token: string,
    @Arg('apiUrl', () => String, {
      nullable: true,
      description: "Default: the API of repoUrl's host, such as https://api.github.com.",
    })
    apiUrl: string | null,
    @Arg('repository', () => String, { nullable: true, description: "owner/name. Default: repoUrl's." })
    repository: string | null,
  ) {
    return commands.commitStatuses.set(appId, { forge, token, apiUrl, repository })
  }

  @Mutation(() => AppType, { description: 'Stops reporting commit statuses and deletes the token.' })
  unsetCommitStatus(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
  ) {
    return commands.commitStatuses.unset(appId)
  }

  @FieldResolver(() => CommitStatusTargetType, {
    nullable: true,
    description: 'Where commit statuses are reported. Null: nowhere.',
  })
  async commitStatus(@Root() { id }: App, @Ctx() { loaders }: RequestContext) {
    return (await loaders.commitStatusOfApp.load(id))[0] ?? null
  }
}

@Resolver(() => CommitStatusTargetType)
export class CommitStatusTargetResolver {
  @FieldResolver(() => String, {
    nullable: true,
    description: 'Why the forge did not accept the latest status. Null: it did.',
  })
  error(@Root() { appId }: CommitStatusTarget, @Ctx() { loaders }: RequestContext) {
    return loaders.commitStatusError.load(appId)
  }
}
