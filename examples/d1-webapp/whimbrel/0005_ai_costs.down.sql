DROP TABLE ai_cost_budgets;
DROP TABLE ai_usage_logs;
