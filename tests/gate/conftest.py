from tests.planning.conftest import folder, plan

__all__ = ["folder", "plan"]
