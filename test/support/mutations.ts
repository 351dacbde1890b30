/** Mutations that take a user's text, for tests of what they refuse. */
export const CREATE = 'mutation ($input: CreateAppInput!) { createApp(input: $input) { id } }'
export const UPDATE_APP =
  'mutation ($id: ID!, $input: UpdateAppInput!) { updateApp(id: $id, input: $input) { id } }'
export const UPDATE_STAGE =
  'mutation ($id: ID!, $input: UpdateStageInput!) { updateStage(id: $id, input: $input) { id } }'
export const STAGE =
  'mutation ($id: ID!, $name: String!, $branch: String) { createStage(appId: $id, name: $name, branch: $branch) { id } }'
export const DEPLOY = 'mutation ($id: ID!, $input: DeployInput) { deploy(appId: $id, input: $input) { id } }'
export const DOMAIN = 'mutation ($id: ID!, $host: String!) { addDomain(stageId: $id, host: $host) { id } }'
export const SET =
  'mutation ($id: ID!, $v: [VariableInput!]!) { setVariables(stageId: $id, variables: $v) { id } }'
export const IMPORT =
  'mutation ($id: ID!, $text: String!) { importVariables(stageId: $id, text: $text) { id } }'
export const COMMIT_STATUS =
  'mutation ($id: ID!, $api: String, $repository: String) { setCommitStatus(appId: $id, forge: GITHUB, token: "t", apiUrl: $api, repository: $repository) { id } }'
