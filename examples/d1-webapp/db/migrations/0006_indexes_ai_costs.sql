-- Migration number: 0006 	 2025-10-20T11:58:09.774Z
-- Purpose: AI cost query optimization

CREATE INDEX idx_ai_usage_logs_user_id ON ai_usage_logs (user_id, created_at);
CREATE INDEX idx_ai_usage_logs_workspace_id ON ai_usage_logs (workspace_id, created_at);
CREATE INDEX idx_ai_usage_logs_provider ON ai_usage_logs (provider, created_at);
CREATE INDEX idx_ai_usage_logs_feature ON ai_usage_logs (feature);
CREATE INDEX idx_ai_usage_logs_failed ON ai_usage_logs (created_at)
  WHERE status <> 'success';
CREATE INDEX idx_ai_cost_budgets_workspace_id ON ai_cost_budgets (workspace_id);
CREATE INDEX idx_ai_cost_budgets_user_id ON ai_cost_budgets (user_id);

-- One live budget for each scope and period.
CREATE UNIQUE INDEX idx_ai_cost_budgets_one_active
  ON ai_cost_budgets (scope, coalesce(workspace_id, ''), coalesce(user_id, ''), period)
  WHERE is_active = 1;
