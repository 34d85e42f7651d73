import type { ServiceImpl } from '@connectrpc/connect'
import type { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import type { RegistryDeps } from '../../deps.ts'
import { archiveModel } from './archive-model.ts'
import { deleteModel } from './delete-model.ts'
import { renameModel } from './rename-model.ts'
import { unarchiveModel } from './unarchive-model.ts'
import { createModel } from './create-model.ts'
import { getModel } from './get-model.ts'
import { listModels } from './list-models.ts'
import { updateModel } from './update-model.ts'

export function modelRoutes(deps: RegistryDeps): ServiceImpl<typeof ModelService> {
  return {
    createModel: (request, context) => createModel(deps, request, context),
    getModel: (request, context) => getModel(deps, request, context),
    listModels: (request, context) => listModels(deps, request, context),
    updateModel: (request, context) => updateModel(deps, request, context),
    renameModel: (request, context) => renameModel(deps, request, context),
    archiveModel: (request, context) => archiveModel(deps, request, context),
    unarchiveModel: (request, context) => unarchiveModel(deps, request, context),
    deleteModel: (request, context) => deleteModel(deps, request, context),
  }
}
